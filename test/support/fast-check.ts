/** fast-check with the seed of this run: every test that tries random examples takes it from here. */
import fc from 'fast-check'
import { inject } from 'vitest'

fc.configureGlobal({ seed: inject('seed') })

/** How many examples a property tries. The gate tries the same few each time, and the night many fresh ones. */
export function runs({ gate, night }: { gate: number; night: number }): number {
  return inject('isNightly') ? night : gate
}

export default fc
