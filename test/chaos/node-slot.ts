/** The place of one node: whoever runs in it is ended and replaced by the next process, as a supervisor would. */
import { setTimeout } from 'node:timers/promises'
import { Program } from '../support/program.ts'
import type { Exit } from '../support/program.ts'
import type { Trouble } from './evidence.ts'

const AGAIN_AFTER_MS = 300

export interface SlotOptions {
  readonly storeUrl: string
  readonly flags: readonly string[]
  readonly onTrouble: (trouble: Trouble) => void
  /** is told of a process that ended though nobody told it to */
  readonly onEnded: (exit: Exit) => void
}

export class NodeSlot {
  /** undefined while nobody has started */
  program: Program | undefined
  readonly #options: SlotOptions
  #starting: Program | undefined
  #isClosed = false

  constructor(options: SlotOptions) {
    this.#options = options
  }

  /** Starts a process, and another one where that cannot start, until one has: its store may be away. */
  async start(): Promise<void> {
    while (!this.#isClosed) {
      const program = new Program(this.#options.storeUrl, this.#options.flags)
      this.#starting = program
      try {
        await program.started()
      } catch {
        await setTimeout(AGAIN_AFTER_MS)
        continue
      }
      this.program = program
      void this.#watch(program)
      return
    }
  }

  /** As `kill -9` does. */
  async kill(downMs: number): Promise<void> {
    await this.#endAndReplace('SIGKILL', downMs)
  }

  /** As an orderly end does. */
  async stop(downMs: number): Promise<void> {
    await this.#endAndReplace('SIGTERM', downMs)
  }

  async freeze(ms: number): Promise<void> {
    const { program } = this
    if (program === undefined) return
    const from = Date.now()
    program.signal('SIGSTOP')
    await setTimeout(ms)
    program.signal('SIGCONT')
    this.#noteTrouble(program, from)
  }

  /** Ends the process in order and starts no other. @returns how it ended */
  async close(): Promise<Exit | undefined> {
    this.#isClosed = true
    const { program } = this
    this.program = undefined
    program?.signal('SIGTERM')
    return program?.exited()
  }

  /** Ends whatever there is at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    const programs = [this.program, this.#starting].filter((program) => program !== undefined)
    this.program = undefined
    await Promise.all(programs.map((program) => program.kill()))
  }

  async #endAndReplace(signal: 'SIGKILL' | 'SIGTERM', downMs: number): Promise<void> {
    const { program } = this
    if (program === undefined) return
    const from = Date.now()
    this.program = undefined
    program.signal(signal)
    const exit = await program.exited()
    if (signal === 'SIGTERM' && exit.code !== 0) this.#options.onEnded(exit)
    this.#noteTrouble(program, from)
    await setTimeout(downMs)
    await this.start()
  }

  #noteTrouble(program: Program, from: number): void {
    const node = program.lines.find(({ event }) => event === 'node.started')?.['node'] as string
    this.#options.onTrouble({ what: 'node', node, from, to: Date.now() })
  }

  async #watch(program: Program): Promise<void> {
    const exit = await program.exited()
    if (this.program !== program) return
    this.program = undefined
    this.#options.onEnded(exit)
    await this.start()
  }
}
