/** fast-check with the seed of this run: every test that tries random examples takes it from here. */
import fc from 'fast-check'
import { inject } from 'vitest'

fc.configureGlobal({ seed: inject('seed') })

/** How many examples a property of a store tries: all of them at night, a third of them in the gate, which tries the same ones each time. */
export function runs(atNight: number): number {
  return inject('isNightly') ? atNight : Math.ceil(atNight / 3)
}

export default fc
