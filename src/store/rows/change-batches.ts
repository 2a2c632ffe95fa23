/** Changes as the stores keep them: JSON, in batches that a reader takes whole. */
import type { JsonValue } from '../../domain/task/task.ts'
import type { NewChange, TaskChange } from '../../domain/task/task-change.ts'

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

/** @param firstId the id of the first change of the batch */
export function parseBatch(text: string, firstId: number): TaskChange[] {
  return (JSON.parse(text) as NewChange[]).map((change, index) => ({ id: firstId + index, ...change }))
}

function serialize(change: NewChange): string {
  const { payload, ...definition } = change.task.definition
  if (sizeOf(payload) <= MAX_PAYLOAD) return JSON.stringify(change)
  return JSON.stringify({ ...change, task: { ...change.task, definition }, withoutPayload: true })
}

/** About how many characters of JSON a value is. It stops counting once they are too many, so a large value costs no more than one that just fits. */
function sizeOf(value: JsonValue | undefined): number {
  if (typeof value === 'string') return value.length
  if (typeof value !== 'object' || value === null) return 1
  let size = 0
  // eslint-disable-next-line @typescript-eslint/no-for-in-array -- it stops early, and lists no names before it begins
  for (const name in value) {
    size += name.length + sizeOf((value as Readonly<Record<string, JsonValue>>)[name])
    if (size > MAX_PAYLOAD) break
  }
  return size
}
