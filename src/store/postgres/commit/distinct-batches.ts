/** Does work for many that one statement does for all whose keys differ: those of a key that comes again go in a later wave. */
export async function inDistinctBatches<T, R>(
  all: readonly T[],
  keyOf: (one: T) => string,
  work: (wave: readonly T[]) => Promise<readonly R[]>,
): Promise<R[]> {
  const results: R[] = []
  for (let left = [...all.entries()]; left.length > 0;) {
    const keys = new Set<string>()
    const wave = left.filter(([, one]) => {
      const key = keyOf(one)
      return keys.has(key) ? false : keys.add(key)
    })
    const outputs = await work(wave.map(([, one]) => one))
    for (const [place, [index]] of wave.entries()) results[index] = outputs[place] as R
    if (wave.length === left.length) break
    const done = new Set(wave)
    left = left.filter((entry) => !done.has(entry))
  }
  return results
}
