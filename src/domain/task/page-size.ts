/** How much a store reads or writes in one go. A number of rows says little, because a definition may have 1 MiB. */
import type { JsonValue, NewTask } from './task.ts'

/** About bytes: the definitions of one page or batch of rows hold no more than this, and those of one more row. */
export const PAGE_BYTES = 2 ** 18
/** A write counts as a row more for each of these characters. */
const ROW_LENGTH = 4 * 1024

/** About how many characters of JSON a value is. It stops counting above `most`, so a large value costs no more than one that just fits. */
export function sizeOf(value: JsonValue | undefined, most: number): number {
  if (typeof value === 'string') return value.length
  if (typeof value !== 'object' || value === null) return 1
  let size = 0
  // eslint-disable-next-line @typescript-eslint/no-for-in-array -- it stops early, and lists no names before it begins
  for (const name in value) {
    size += name.length + sizeOf((value as Readonly<Record<string, JsonValue>>)[name], most)
    if (size > most) break
  }
  return size
}

/** How many rows of usual size the tasks are worth. */
export function weightOf(tasks: readonly Pick<NewTask, 'definition'>[]): number {
  return tasks.reduce((sum, { definition }) => sum + 1 + Math.floor(sizeOf(definition.payload, PAGE_BYTES) / ROW_LENGTH), 0)
}

/** The first of all, as many as hold `PAGE_BYTES` together. @param bytesOf the size of one */
export function firstPage<T>(all: readonly T[], bytesOf: (one: T) => number): T[] {
  let bytes = 0
  const end = all.findIndex((one) => {
    const isFull = bytes >= PAGE_BYTES
    bytes += bytesOf(one)
    return isFull
  })
  return all.slice(0, end === -1 ? all.length : end)
}
