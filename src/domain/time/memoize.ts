/** Remembers the values that a dear function has made of the last few texts. */

/** @param size how many values are kept; the oldest goes first @param make a pure function; its errors are thrown on, not remembered */
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
