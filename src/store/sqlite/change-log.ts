/** Keeps the latest changes in the file, and tells listeners after the commit that holds new ones. */
import type { JsonValue } from '../../domain/task.ts'
import type { TaskChange } from '../../domain/task-change.ts'
import type { Changes, Told } from './changes.ts'
import type { Statements } from './statements.ts'

/** How many changes are kept, give or take those of one commit. */
const KEPT = 50_000
const TRIM_EVERY = 1000
/** characters, about: a task whose payload is longer is kept without it */
const MAX_PAYLOAD = 4 * 1024
/** characters: the changes of a large commit are several rows, so that a reader need not take all of them */
const ROW_LENGTH = 128 * 1024

interface BatchRow {
  readonly id: number
  readonly first_id: number
  readonly batch: string
}

export class ChangeLog {
  readonly #statements: Statements
  readonly #listeners = new Set<() => void>()
  #last: number | undefined
  #isNew = false

  constructor(statements: Statements) {
    this.#statements = statements
  }

  /** Must run inside the transaction whose changes these are. */
  write(changes: Changes): void {
    for (const [state, delta] of changes.deltas()) this.#statements.addToCount.run(delta, state)
    const told = changes.told()
    if (told.length === 0) return
    const last = this.#last ?? this.#newest()
    this.#last = last + told.length
    let [texts, length, id]: [string[], number, number] = [[], 0, last]
    for (const one of told) {
      const text = serialize(one)
      texts.push(text)
      length += text.length
      id += 1
      if (length < ROW_LENGTH && id < this.#last) continue
      this.#statements.insertChanges.run({ id, firstId: id - texts.length + 1, batch: `[${texts.join(',')}]` })
      ;[texts, length] = [[], 0]
    }
    if (Math.floor(this.#last / TRIM_EVERY) > Math.floor(last / TRIM_EVERY)) this.#statements.trimChanges.run(this.#last - KEPT)
    this.#isNew = true
  }

  /** What was written may have been undone. Listeners may be told for nothing. */
  forget(): void {
    this.#last = undefined
  }

  /** Has listeners told after the commit: something but tasks has changed that they may wait for. */
  touch(): void {
    this.#isNew = true
  }

  /** What was written is durable. */
  committed(): void {
    if (!this.#isNew) return
    this.#isNew = false
    for (const listener of this.#listeners) listener()
  }

  /** @returns a function that ends this */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  read({ after, limit }: { after: number; limit: number }): { changes: TaskChange[]; first: number; last: number } {
    const changes: TaskChange[] = []
    // One by one: a commit may hold a thousand changes.
    for (const row of this.#statements.changesAfter.iterate(after) as IterableIterator<BatchRow>) {
      changes.push(...parse(row).filter(({ id }) => id > after))
      if (changes.length >= limit) break
    }
    return { changes, first: (this.#statements.oldestChange.get() as number | null) ?? 0, last: this.#newest() }
  }

  #newest(): number {
    return (this.#statements.newestChange.get() as number | null) ?? 0
  }
}

function serialize(told: Told): string {
  const { payload, ...definition } = told.task.definition
  if (sizeOf(payload) <= MAX_PAYLOAD) return JSON.stringify(told)
  return JSON.stringify({ ...told, task: { ...told.task, definition }, withoutPayload: true })
}

/** About how many characters of JSON a value is. Looks no further once that is too many, so a large value costs no more than one that just fits. */
function sizeOf(value: JsonValue | undefined): number {
  if (typeof value === 'string') return value.length
  if (typeof value !== 'object' || value === null) return 1
  let size = 0
  // eslint-disable-next-line @typescript-eslint/no-for-in-array -- it stops early, and lists nothing before it begins
  for (const name in value) {
    size += name.length + sizeOf((value as Readonly<Record<string, JsonValue>>)[name])
    if (size > MAX_PAYLOAD) break
  }
  return size
}

function parse({ first_id, batch }: BatchRow): TaskChange[] {
  return (JSON.parse(batch) as Omit<TaskChange, 'id'>[]).map((change, index) => ({ id: first_id + index, ...change }))
}
