/** Remembers what was made of the last few texts, where making it is dear. */

/**
 * @param size how many values are kept; the oldest one makes room
 * @param make a pure function; what it throws is thrown on, and not remembered
 */
export function memoize<T extends object>(size: number, make: (text: string) => T): (text: string) => T {
  const values = new Map<string, T>()
  return (text) => {
    const known = values.get(text)
    if (known !== undefined) return known
    const value = make(text)
    for (const oldest of values.keys()) {
      if (values.size < size) break
      values.delete(oldest)
    }
    values.set(text, value)
    return value
  }
}
