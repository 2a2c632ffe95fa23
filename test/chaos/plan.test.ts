/** The plan of a run: the same for the same seed, with every kind of misfortune, each over before the run is. */
import { expect, it } from 'vitest'
import { planOf } from './plan.ts'

const MS = 10 * 60_000

it('is the same for the same seed, and another one for another seed', () => {
  expect(planOf(7, 'postgres', MS)).toEqual(planOf(7, 'postgres', MS))
  expect(planOf(8, 'postgres', MS)).not.toEqual(planOf(7, 'postgres', MS))
})

it.each([
  ['sqlite', ['kill', 'freeze', 'stop', 'fill the disk', 'close the receiver']],
  ['postgres', ['kill', 'freeze', 'stop', 'stop the database', 'crash the database', 'close the receiver']],
] as const)('has every misfortune that can befall %s', (store, kinds) => {
  const plan = planOf(7, store, MS)
  expect(new Set(plan.map(({ does }) => does))).toEqual(new Set(kinds))
  expect(plan.filter(({ at }) => at < 0 || at > MS)).toEqual([])
})

it('freezes a node of several for longer than its leases, where there is time for it', () => {
  const isLong = ({ does, lasts }: { does: string; lasts: number }) => does === 'freeze' && lasts > 60_000
  expect(planOf(7, 'postgres', MS).filter(isLong)).toHaveLength(1)
  expect(planOf(7, 'postgres', 60_000).filter(isLong)).toEqual([])
})
