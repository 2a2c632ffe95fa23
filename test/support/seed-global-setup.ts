/**
 * Decides which random examples a run of the tests tries. The seed is fixed, so that an innocent change cannot fail by chance.
 * `CALLME_TEST_SEED` names another seed. `CALLME_TEST_NIGHTLY` takes a seed that nobody has seen, prints it, and asks for more volume.
 */
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  interface ProvidedContext {
    /** of every property */
    seed: number
    /** whether tests repeat a misfortune more often than the gate has time for */
    isNightly: boolean
  }
}

const FIXED_SEED = 20_260_101

export function setup(project: TestProject): void {
  const { CALLME_TEST_SEED: given, CALLME_TEST_NIGHTLY: nightly } = process.env
  const isNightly = nightly !== undefined
  const seed = given !== undefined ? Number(given) : isNightly ? Date.now() % 1_000_000_000 : FIXED_SEED
  if (!Number.isSafeInteger(seed)) throw new Error(`CALLME_TEST_SEED is a whole number, not ${String(given)}`)
  if (isNightly) process.stdout.write(`the properties of this run again: CALLME_TEST_SEED=${seed} CALLME_TEST_NIGHTLY=1 npx vitest run\n`)
  project.provide('seed', seed)
  project.provide('isNightly', isNightly)
}
