/** A client of the event stream that connects again after every interruption, and keeps a copy of all entries from what it is told alone. */
import type { WireTask } from '../../src/wire/present-task.ts'
import { isEnded } from './entry.ts'
import type { Entry } from './entry.ts'
import { Violation } from './model.ts'
import type { SimulatedNode } from './node.ts'

type Copied = Pick<WireTask, 'run_id' | 'task_state' | 'attempts'>

const KIND_OF_STATE: Readonly<Record<string, readonly string[]>> = {
  pending: ['created', 'updated', 'deleted'],
  retrying: ['retry', 'updated', 'deleted'],
  running: ['processing', 'updated'],
  successful: ['completed', 'updated', 'deleted'],
  failed: ['failed', 'updated', 'deleted'],
  skipped: ['skipped', 'updated', 'deleted'],
}

export class Listener {
  /** of the last event that it has had */
  lastId = 0
  isConnected = false
  readonly #copies = new Map<string, Copied>()
  readonly #onViolation: (violation: unknown) => void
  /** keys of what retention has removed, without a word to listeners */
  readonly #pruned: ReadonlySet<string>
  #rest = ''

  constructor(pruned: ReadonlySet<string>, onViolation: (violation: unknown) => void) {
    this.#pruned = pruned
    this.#onViolation = onViolation
  }

  connect(node: SimulatedNode): void {
    if (this.isConnected || !node.isUp) return
    this.isConnected = true
    this.#rest = ''
    const end = (): void => {
      this.isConnected = false
    }
    const read = (text: string): void => {
      try {
        this.#read(text)
      } catch (violation) {
        this.#onViolation(violation)
      }
    }
    node.listen(this.lastId, read, end).catch(this.#onViolation)
  }

  /** @throws Violation where what it was told is not what there is */
  check(entries: ReadonlyMap<string, Entry>): void {
    for (const [key, copy] of this.#copies) {
      if (!entries.has(key) && this.#pruned.has(key) && isEnded({ state: copy.task_state })) this.#copies.delete(key)
    }
    for (const { key, state, runId, attempts, isErrorCallback } of entries.values()) {
      const copy = this.#copies.get(key)
      const isSame = copy?.task_state === state && copy.run_id === runId && copy.attempts === attempts
      if (!isErrorCallback && !isSame)
        throw new Violation(
          'events match the rows',
          `${key} is ${state} with ${attempts} attempts, told was ${copy === undefined ? 'nothing' : JSON.stringify(copy)}`,
        )
    }
    for (const key of this.#copies.keys())
      if (!entries.has(key)) throw new Violation('events match the rows', `nobody was told that ${key} is gone`)
  }

  #read(text: string): void {
    const blocks = (this.#rest + text).split('\n\n')
    this.#rest = blocks.pop() ?? ''
    for (const block of blocks) {
      const fields = new Map(block.split('\n').map((line) => line.split(/: (.*)/s, 2) as [string, string]))
      const id = fields.get('id')
      const kind = fields.get('event')
      if (kind === 'missed') throw new Violation('no event is lost', block)
      if (kind !== undefined && kind !== 'dropped') this.#take(kind, Number(id), JSON.parse(fields.get('data') ?? '') as WireTask)
      if (id !== undefined) this.lastId = Number(id)
    }
  }

  #take(kind: string, id: number, task: WireTask): void {
    const key = `${task.task_name}@${task.trigger_at}`
    if (id <= this.lastId) throw new Violation('an event is told once', `event ${id}, ${kind} ${key}`)
    if (!KIND_OF_STATE[task.task_state]?.includes(kind))
      throw new Violation('events match the rows', `${kind} tells of ${key} as ${task.task_state}`)
    const isKnown = this.#copies.has(key)
    if (kind === 'created' && isKnown && !this.#pruned.has(key)) throw new Violation('events match the rows', `${key} was created twice`)
    if (kind === 'deleted') {
      this.#copies.delete(key)
      return
    }
    // An entry that has moved has left its old key.
    if (kind === 'updated' && !isKnown && task.rescheduled_from !== null) this.#copies.delete(task.rescheduled_from)
    const { run_id, task_state, attempts } = task
    this.#copies.set(key, { run_id, task_state, attempts })
  }
}
