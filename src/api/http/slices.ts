/** Reads a large body slice by slice, each in a turn of its own. */
import type { Turns } from './turns.ts'

/** characters */
const SLICE_LENGTH = 2 ** 20
/** A short text costs about as much as this many characters. */
const TEXT_LENGTH = 64
const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c]
const [OPEN_BRACKET, OPEN_BRACE, CLOSE_BRACKET, CLOSE_BRACE] = [0x5b, 0x7b, 0x5d, 0x7d]

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

/** The texts of the elements of a JSON array. The array is JSON where each of them is. @param text begins with a bracket, and has no space around it */
export function* elementsOf(text: string): Generator<string> {
  let [depth, isString, start] = [0, false, 1]
  for (let at = 1; at < text.length - 1; at += 1) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) isString = !isString
    else if (isString) at += code === BACKSLASH ? 1 : 0
    else if (code === OPEN_BRACE || code === OPEN_BRACKET) depth += 1
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth -= 1
    else if (code === COMMA && depth === 0) {
      yield text.slice(start, at)
      start = at + 1
    }
  }
  const last = text.slice(start, -1)
  if (start > 1 || last.trim() !== '') yield last
}
