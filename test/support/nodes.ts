/** Several nodes as real processes on one database, and a client that does not mind which of them answers. */
import { setImmediate } from 'node:timers/promises'
import { Program } from './program.ts'
import type { TestDatabase } from './postgres.ts'

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, unknown>
}

/** A task as its row says, wherever it is kept. */
export interface StoredTask {
  readonly key: string
  readonly state: string
  readonly runId: string
  readonly attempts: number
  readonly error: string | null
}

/** An attempt as its row says. */
export interface StoredAttempt {
  readonly runId: string
  readonly number: number
  readonly status: number | null
  readonly error: string | null
  /** the id of the node that made it */
  readonly node: string
}

/** How many calls a node has open to one host, where it is started with these flags. */
export const WINDOW = 8
export const IN_WINDOW = ['--max-inflight-per-host', String(WINDOW)]

const TASKS_AT_ONCE = 1000
const CLIENTS = 4
const STORED = (table: string): string => `
  SELECT name || '@' || trigger_at AS key, state, run_id AS "runId", attempts, error FROM callme.${table} WHERE strpos(name, '@') = 0`
const ATTEMPTS = 'SELECT run_id AS "runId", number, status, error, node FROM callme.attempts ORDER BY run_id, number'

export class Nodes {
  /** those that were started and not told to leave */
  readonly programs: Program[] = []
  readonly #storeUrl: string
  readonly #flags: readonly string[]
  readonly #started: Program[] = []
  #turn = 0

  /** @param flags of each node */
  constructor(storeUrl: string, flags: readonly string[] = []) {
    this.#storeUrl = storeUrl
    this.#flags = flags
  }

  /** One more node, which is told nothing but where the database is. @param env in addition to that of this process */
  async join(env: Readonly<Record<string, string>> = {}): Promise<Program> {
    const program = new Program(this.#storeUrl, this.#flags, env)
    this.#started.push(program)
    await program.started()
    this.programs.push(program)
    return program
  }

  /** As `kill -9` does. */
  async kill(program: Program): Promise<void> {
    this.#forget(program)
    await program.kill()
  }

  /** As SIGTERM does. @throws Error where the node does not end well */
  async leave(program: Program): Promise<void> {
    this.#forget(program)
    program.signal('SIGTERM')
    const exit = await program.exited()
    if (exit.code !== 0) throw new Error(`a node ended with ${JSON.stringify(exit)}`)
  }

  async leaveAll(): Promise<void> {
    await Promise.all([...this.programs].map((program) => this.leave(program)))
  }

  /** Sends a request to one node after the other until one answers it with something else than 503. */
  async send(path: string, method: string, body?: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    for (;;) {
      const answer = await ask(this.#nextUrl() + path, { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) })
      if (answer && answer.status !== 503) return answer
      // The end of a node may not be known here yet.
      await setImmediate()
    }
  }

  /** Stores a task that is due at once, and never in the place of itself, however often it must be sent. */
  async put(name: string, definition: object): Promise<void> {
    const body = { trigger_at: '+0m', max_delay: 60, ...definition }
    const answer = await this.send(`/task/${name}`, 'PUT', body, { 'If-None-Match': '*' })
    // It is there already where the node that stored it did not come to say so.
    if (answer.status !== 201 && answer.status !== 412) throw new Error(`${name} was not stored: ${JSON.stringify(answer.body)}`)
  }

  /** A few clients that store one task after the other until they are told to stop. @returns a function that does so, and then the names of all that were stored */
  load(callback: string): () => Promise<string[]> {
    const stored: string[] = []
    let isLoading = true
    const client = async (number: number): Promise<void> => {
      for (let n = 0; isLoading; n += 1) {
        const name = `load-${number}-${n}`
        await this.put(name, { callback })
        stored.push(name)
      }
    }
    const clients = Array.from({ length: CLIENTS }, (_, number) => client(number))
    return async () => {
      isLoading = false
      await Promise.all(clients)
      return stored
    }
  }

  /** Stores many tasks, as many at a time as one request may hold, each time by another node. */
  async putMany(tasks: readonly object[]): Promise<void> {
    for (let start = 0; start < tasks.length; start += TASKS_AT_ONCE) {
      const { status, body } = await this.send('/tasks', 'POST', tasks.slice(start, start + TASKS_AT_ONCE))
      if (status !== 200) throw new Error(`not all were stored: ${JSON.stringify(body).slice(0, 1000)}`)
    }
  }

  /** Ends every process that was started and is still there, a frozen one as well. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#started.map((program) => program.kill()))
  }

  #forget(program: Program): void {
    this.programs.splice(this.programs.indexOf(program), 1)
  }

  #nextUrl(): string {
    this.#turn += 1
    const program = this.programs[this.#turn % this.programs.length]
    if (program === undefined) throw new Error('there is no node')
    return program.url
  }
}

/** Starts so many nodes at the same time. @param flags of each node */
export async function startNodes(storeUrl: string, count: number, flags: readonly string[] = []): Promise<Nodes> {
  const nodes = new Nodes(storeUrl, flags)
  try {
    await Promise.all(Array.from({ length: count }, () => nodes.join()))
    return nodes
  } catch (error) {
    await nodes[Symbol.asyncDispose]()
    throw error
  }
}

/** @returns undefined where nobody listens, or the connection is cut before the answer is there */
export async function ask(url: string, init?: RequestInit): Promise<Answer | undefined> {
  try {
    const response = await fetch(url, init)
    return { status: response.status, headers: response.headers, body: (await response.json()) as Record<string, unknown> }
  } catch (error) {
    // What fetch calls a failure of the network is a TypeError, and so is an answer that breaks off.
    if (error instanceof TypeError) return undefined
    throw error
  }
}

/** Resolves once a node says that it is ready. Each look is a request, so no time is assumed. */
export async function isReady({ url }: Program): Promise<void> {
  while ((await ask(`${url}/ready`))?.status !== 200) await setImmediate()
}

/** The id under which a node claims. */
export async function idOf(program: Program): Promise<string> {
  return (await program.logged('node.started'))['node'] as string
}

export async function storedTasks(database: TestDatabase): Promise<StoredTask[]> {
  return (await database.query(`${STORED('tasks')} UNION ALL ${STORED('finished')} ORDER BY key`)) as unknown as StoredTask[]
}

export async function storedAttempts(database: TestDatabase): Promise<StoredAttempt[]> {
  return (await database.query(ATTEMPTS)) as unknown as StoredAttempt[]
}
