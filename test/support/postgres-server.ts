/** A real PostgreSQL server in a temporary folder. It is gone when its process tells it so, and when that process is. */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { FromPostgresProcess, ToPostgresProcess } from './postgres-process.ts'

const PROCESS = fileURLToPath(new URL('postgres-process.ts', import.meta.url))

export interface PostgresServer {
  /** of its superuser and the database `postgres`; stays the same over stops and starts */
  readonly url: string
  /** Ends it in order, and its connections at once. */
  stop(): Promise<void>
  /** Ends it as a crash would. */
  kill(): Promise<void>
  /** Ends its first process with `kill -9`; the others follow. */
  crash(): Promise<void>
  /** Starts it again after it was stopped or killed. */
  start(): Promise<void>
  /** Ends it where it runs, and removes what it holds. */
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Starts a server; it writes durably unless it is told otherwise.
 * @param settings as in its configuration, such as `fsync=off`
 * @throws Error with what PostgreSQL said, where it does not start
 */
export async function startPostgresServer(...settings: readonly string[]): Promise<PostgresServer> {
  // In a group of its own, so that Ctrl-C at a terminal does not reach it before the tests are over.
  const child = fork(PROCESS, settings, { execArgv: [], detached: true, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const exited = once(child, 'exit')
  const dispose = async (): Promise<void> => {
    if (child.connected) child.disconnect()
    await exited
  }
  const tell = (word: ToPostgresProcess) => async (): Promise<void> => {
    await told(child, word)
  }
  try {
    const url = await told(child, 'start')
    return { url, stop: tell('stop'), kill: tell('kill'), crash: tell('crash'), start: tell('start'), [Symbol.asyncDispose]: dispose }
  } catch (error) {
    await dispose()
    throw error
  }
}

async function told(child: ChildProcess, word: ToPostgresProcess): Promise<string> {
  const over = new AbortController()
  const { signal } = over
  const answered = once(child, 'message', { signal }) as Promise<[FromPostgresProcess]>
  child.send(word)
  const ended = once(child, 'exit', { signal }).then(() => Promise.reject(new Error('the process that keeps PostgreSQL has ended')))
  // The one that nobody waits for any more is aborted.
  for (const promise of [answered, ended]) promise.catch(() => undefined)
  try {
    const [answer] = await Promise.race([answered, ended])
    if ('error' in answer) throw new Error(answer.error)
    return answer.url
  } finally {
    over.abort()
  }
}
