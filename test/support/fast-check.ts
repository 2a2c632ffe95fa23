/** fast-check with the seed of this run: every test that tries random examples takes it from here. */
import fc from 'fast-check'
import { inject } from 'vitest'

fc.configureGlobal({ seed: inject('seed') })

export default fc
