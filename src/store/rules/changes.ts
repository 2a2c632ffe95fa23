/** The effects of one write: how many tasks each state gains or loses, runs without a record, and changes for listeners as the stores keep them. */
import { isErrorCallback } from '../../domain/task/error-callback.ts'
import type { PastStanding } from '../../domain/ledger/account.ts'
import type { Task, TaskState } from '../../domain/task/task.ts'
import type { ChangeKind, LostChanges, NewChange, TaskChange } from '../../domain/task/task-change.ts'
import type { TaskKey } from '../../domain/task/task-key.ts'
import { isObject, parse } from '../rows/stored-json.ts'
import { sizeOf } from '../../domain/task/page-size.ts'

/** characters, about: a longer payload is left out */
const MAX_PAYLOAD = 4 * 1024
/** characters: a large commit is several batches, so that a reader need not take all of it */
const BATCH_LENGTH = 128 * 1024

export interface Batch {
  /** how many changes */
  readonly count: number
  /** JSON: [{kind, at, task} …] */
  readonly text: string
}

/** Runs that no row records any more. */
export interface PastRuns {
  /** Unix seconds */
  readonly triggerAt: number
  /** as what they count */
  readonly standing: PastStanding
  readonly runs: number
}

/** They are written with the write, or not at all. Error callbacks are not counted, and listeners do not hear of them. */
export class Changes {
  readonly #deltas = new Map<TaskState, number>()
  readonly #pastRuns: PastRuns[] = []
  readonly #emitted: NewChange[] = []

  /** `undefined` stands for a row that was not there before, or is there no more. */
  moved(key: Pick<TaskKey, 'name'>, from: TaskState | undefined, to: TaskState | undefined): void {
    if (isErrorCallback(key)) return
    if (from !== undefined) this.count(from, -1)
    if (to !== undefined) this.count(to, 1)
  }

  /** A state has this many tasks more, or fewer. */
  count(state: TaskState, delta: number): void {
    this.#deltas.set(state, (this.#deltas.get(state) ?? 0) + delta)
  }

  /** A person has deleted a task, and all of its runs. */
  deleted({ triggerAt }: Pick<TaskKey, 'triggerAt'>, runs: number): void {
    this.#pastRuns.push({ triggerAt, standing: 'removed', runs })
  }

  /** A task begins another run, or moves. Attempts record the run before where it has made some. */
  previousRunEnded({ triggerAt }: Pick<TaskKey, 'triggerAt'>, before: Pick<Task, 'state' | 'attempts'>): void {
    if (before.attempts > 0) return
    const standing = before.state === 'skipped' || before.state === 'failed' ? before.state : 'removed'
    this.#pastRuns.push({ triggerAt, standing, runs: 1 })
  }

  emit(kind: ChangeKind, task: Task, at: number): void {
    if (!isErrorCallback(task)) this.#emitted.push({ kind, at, task })
  }

  /** By how much the count of each state changes. States whose count stays are left out. */
  deltas(): [TaskState, number][] {
    return [...this.#deltas].filter(([, delta]) => delta !== 0)
  }

  /** Each minute and standing once. */
  pastRuns(): PastRuns[] {
    const kinds = Map.groupBy(this.#pastRuns, ({ triggerAt, standing }) => `${triggerAt} ${standing}`)
    return [...kinds.values()].flatMap(([first, ...others]) => {
      return first === undefined ? [] : [{ ...first, runs: others.reduce((sum, { runs }) => sum + runs, first.runs) }]
    })
  }

  emitted(): readonly NewChange[] {
    return this.#emitted
  }
}

/** The changes of one commit, in their order. */
export function* batchesOf(changes: readonly NewChange[]): Generator<Batch> {
  let [texts, length]: [string[], number] = [[], 0]
  for (const [index, one] of changes.entries()) {
    const text = serialize(one)
    texts.push(text)
    length += text.length
    if (length < BATCH_LENGTH && index + 1 < changes.length) continue
    yield { count: texts.length, text: `[${texts.join(',')}]` }
    ;[texts, length] = [[], 0]
  }
}

/** A batch as it is stored. */
export interface StoredBatch {
  /** the id of its first change */
  readonly firstId: number
  /** the id of its last change */
  readonly lastId: number
  readonly text: string
}

/** The changes of batches, oldest first, and those that cannot be read any more; `lost` is absent where all can. */
export function readBatches(batches: readonly StoredBatch[]): { readonly changes: TaskChange[]; readonly lost?: LostChanges[] } {
  const read = batches.map((batch) => ({ ...batch, changes: parseBatch(batch) }))
  const lost = read.flatMap(({ firstId, lastId, changes }) => (changes === undefined ? { id: lastId, first: firstId } : []))
  return { changes: read.flatMap(({ changes = [] }) => changes), ...(lost.length > 0 && { lost }) }
}

/** @returns undefined for a damaged text */
function parseBatch({ text, firstId, lastId }: StoredBatch): TaskChange[] | undefined {
  const changes = parse(text)
  const isWhole = Array.isArray(changes) && changes.length === lastId - firstId + 1 && changes.every(isChange)
  return isWhole ? (changes as NewChange[]).map((change, index) => ({ id: firstId + index, ...change })) : undefined
}

function isChange(change: unknown): boolean {
  return isObject(change) && isObject(change['task']) && isObject(change['task']['definition'])
}

function serialize(change: NewChange): string {
  const { payload, ...definition } = change.task.definition
  if (sizeOf(payload, MAX_PAYLOAD) <= MAX_PAYLOAD) return JSON.stringify(change)
  return JSON.stringify({ ...change, task: { ...change.task, definition }, withoutPayload: true })
}
