/** Changes as the stores keep them: as JSON, in batches that a reader takes whole. */
import type { JsonValue } from '../../domain/task/task.ts'
import type { NewChange, TaskChange } from '../../domain/task/task-change.ts'

/** characters, about: a task whose payload is longer is kept without it */
const MAX_PAYLOAD = 4 * 1024
/** characters: the changes of a large commit are several batches, so that a reader need not take all of them */
const BATCH_LENGTH = 128 * 1024

export interface Batch {
  /** how many changes */
  readonly count: number
  /** JSON: [{kind, at, task} …] */
  readonly text: string
}

/** The changes of one commit, in their order. */
export function* batchesOf(told: readonly NewChange[]): Generator<Batch> {
  let [texts, length]: [string[], number] = [[], 0]
  for (const [index, one] of told.entries()) {
    const text = serialize(one)
    texts.push(text)
    length += text.length
    if (length < BATCH_LENGTH && index + 1 < told.length) continue
    yield { count: texts.length, text: `[${texts.join(',')}]` }
    ;[texts, length] = [[], 0]
  }
}

/** @param firstId the id of the first change of the batch */
export function parseBatch(text: string, firstId: number): TaskChange[] {
  return (JSON.parse(text) as NewChange[]).map((change, index) => ({ id: firstId + index, ...change }))
}

function serialize(told: NewChange): string {
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
