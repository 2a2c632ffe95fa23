/** Runs worlds, and shrinks the history of one in which a rule does not hold. */
import fc from 'fast-check'
import { decide } from './decisions.ts'
import type { Decision } from './decisions.ts'
import { Violation } from './model.ts'
import { countUuids } from './random.ts'
import { World } from './world.ts'
import type { Tamper } from './nodes.ts'
import { SqliteWorld } from './sqlite-world.ts'
import type { WorldStore } from './world-store.ts'

/** Long enough for what is put to end and be pruned, short enough to be shrunk. */
export const DAYS_OF_WORLD = 2

const startUuids = countUuids()

export interface Outcome {
  /** simulated ms */
  readonly lived: number
  /** of everything that happened */
  readonly digest: number
  /** undefined where every rule held */
  readonly violation: Violation | undefined
  /** the last of what happened */
  readonly trace: readonly string[]
}

/** What the users and misfortunes of a seed do. */
export function historyOf(seed: number): Decision[] {
  return decide(seed, DAYS_OF_WORLD)
}

export interface SimulateOptions {
  /** all of the seed's where absent */
  readonly history?: readonly Decision[]
  readonly tamper?: Tamper
  /** a PostgreSQL server, as a user who may create databases; SQLite where absent */
  readonly postgres?: string
}

/** Has a history happen in a new world. On SQLite the same one happens in the same way each time. */
export async function simulate(seed: number, { history = historyOf(seed), tamper, postgres }: SimulateOptions = {}): Promise<Outcome> {
  startUuids()
  const store = await openStore(postgres)
  const world = new World(seed, store, tamper)
  let [lived, violation]: [number, Violation | undefined] = [0, undefined]
  try {
    lived = await world.live(history)
  } catch (error) {
    violation = error instanceof Violation ? error : new Violation('nothing throws', (error as Error).stack ?? String(error))
  }
  await store.end()
  return { lived, digest: world.trace.digest, violation, trace: world.trace.lines }
}

async function openStore(postgres: string | undefined): Promise<WorldStore> {
  if (postgres === undefined) return SqliteWorld.create()
  const { PostgresWorld } = await import('./postgres-world.ts')
  return PostgresWorld.create(postgres, `callme_world_${process.pid}`)
}

/** @returns the shortest part of a history that is found within `ms` in which the same rule does not hold */
export async function shrink(
  seed: number,
  rule: string,
  { ms, ...options }: SimulateOptions & { ms: number },
): Promise<readonly Decision[]> {
  const history = historyOf(seed)
  const holds = async (part: readonly Decision[]): Promise<boolean> =>
    (await simulate(seed, { ...options, history: part })).violation?.rule !== rule
  const property = fc.asyncProperty(fc.subarray(history), holds)
  const { counterexample } = await fc.check(property, { examples: [[history]], numRuns: 1, skipAllAfterTimeLimit: ms })
  return counterexample?.[0] ?? history
}
