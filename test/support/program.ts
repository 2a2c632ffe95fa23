/** The real program as a child process: started as a user would, killed as a crash would. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const BIN = new URL('../../bin/callme.js', import.meta.url).pathname
const STORE_SETTING = /^(sqlite|postgres(ql)?):/

export interface LogLine {
  readonly event: string
  readonly [field: string]: unknown
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stderr: string
}

export class Program {
  readonly #child: ChildProcess
  readonly #exited: Promise<Exit>
  readonly #progress = new EventEmitter().setMaxListeners(0)
  readonly lines: LogLine[] = []
  /** where its API listens; empty until `started` */
  url = ''

  /**
   * @param store its setting, or the path of a SQLite file
   * @param flags of `callme serve`; the port is any free one unless they name it
   * @param env in addition to this process's environment without its CALLME_ variables
   */
  constructor(store: string, flags: readonly string[] = [], env: Readonly<Record<string, string>> = {}) {
    const setting = STORE_SETTING.test(store) ? store : `sqlite:${store}`
    const args = [BIN, 'serve', '--listen', '127.0.0.1:0', '--store', setting, ...flags]
    this.#child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...environmentOfOthers(), ...env } })
    const { stdout, stderr } = this.#child
    if (!stdout || !stderr) throw new Error('the program has no output')
    let errors = ''
    stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
    createInterface(stdout).on('line', (text) => {
      this.lines.push(JSON.parse(text) as LogLine)
      this.#progress.emit('line')
    })
    this.#exited = once(this.#child, 'close').then(([code, signal]) => ({
      code: code as number | null,
      signal: signal as NodeJS.Signals | null,
      stderr: errors,
    }))
  }

  get port(): number {
    return Number(new URL(this.url).port)
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Resolves once the API listens. */
  async started(): Promise<this> {
    const line = await this.logged('node.started')
    this.url = line['address'] as string
    return this
  }

  /** Resolves with the first line of that event; rejects when the program ends without it. */
  async logged(event: string): Promise<LogLine> {
    const [line] = await this.loggedTimes(event, 1)
    return line as LogLine
  }

  /** Resolves with the lines of that event as soon as there are so many; rejects when the program ends before. */
  async loggedTimes(event: string, count: number): Promise<LogLine[]> {
    const ended = this.#exited.then((exit) => Promise.reject(new Error(`ended before ${event}: ${JSON.stringify(exit)}`)))
    // Where all lines come in time, nobody asks how it ended.
    ended.catch(() => undefined)
    for (;;) {
      const known = this.lines.filter((line) => line.event === event)
      if (known.length >= count) return known
      await Promise.race([once(this.#progress, 'line'), ended])
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  exited(): Promise<Exit> {
    return this.#exited
  }

  async kill(): Promise<Exit> {
    this.signal('SIGKILL')
    return this.#exited
  }

  async json(path: string, init?: RequestInit): Promise<{ status: number; body: Record<string, unknown> }> {
    const response = await fetch(this.url + path, init)
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }

  /** Resolves with the task once it is in one of the states. Each look is a request, so no time is assumed. */
  async taskIn(key: string, ...states: string[]): Promise<Record<string, unknown>> {
    for (;;) {
      const { body } = await this.json(`/task/${key}`)
      const [task] = body['tasks'] as Record<string, unknown>[]
      if (task && states.includes(task['task_state'] as string)) return task
    }
  }
}

/** The environment of this process without what callme would read of it. */
export function environmentOfOthers(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('CALLME_')))
}

/** What shows a program, in its environment, a time that is wrong by `ms`. */
export function clockWrongBy(ms: number): Record<string, string> {
  return { NODE_OPTIONS: `--import=${new URL('shifted-clock.ts', import.meta.url).href}?ms=${ms}` }
}

/** A folder that is gone after the test. */
export function temporaryFolder(): { path: string; [Symbol.dispose](): void } {
  const path = mkdtempSync(join(tmpdir(), 'callme-'))
  return {
    path,
    [Symbol.dispose]: () => {
      rmSync(path, { recursive: true, force: true })
    },
  }
}

/** The key of a task that was just stored. */
export function keyOf(body: Record<string, unknown>): string {
  const task = body['task'] as Record<string, string>
  return `${task['task_name'] ?? ''}@${task['trigger_at'] ?? ''}`
}
