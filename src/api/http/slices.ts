/** Reads a large body slice by slice, each in a turn of its own. */
import type { Turns } from './turns.ts'

/** characters */
const SLICE_LENGTH = 2 ** 20
/** A short text costs about as much as this many characters. */
const TEXT_LENGTH = 64

/** Reads each text. @returns what `read` has made of them, in their order */
export async function inSlices<T>(texts: Iterable<string>, turns: Turns, read: (text: string) => T): Promise<T[]> {
  const values: T[] = []
  const rest = texts[Symbol.iterator]()
  const readSlice = (): boolean => {
    for (let length = 0; length < SLICE_LENGTH;) {
      const text = rest.next()
      if (text.done === true) return false
      values.push(read(text.value))
      length += TEXT_LENGTH + text.value.length
    }
    return true
  }
  while (await turns.take(readSlice));
  return values
}
