/** Simulated worlds of fixed seeds, and worlds whose store does wrong, which must be found. `npm run nightly` has worlds of fresh seeds. */
import { describe, expect, inject, it } from 'vitest'
import { pendingTask } from '../../src/domain/task/task.ts'
import type { Store } from '../../src/store/store.ts'
import type { Tamper } from './nodes.ts'
import { historyOf, shrink, simulate } from './simulate.ts'

const WORLDS_OF_TEST = 8
/** A part of a world, because a database of its own takes its time. */
const [POSTGRES_SEED, POSTGRES_DECISIONS] = [3, 40]
/** Many times what it takes, because other tests run beside these. */
const TIMEOUT_MS = 300_000
const SHRINK_MS = 20_000

async function expectRulesHold(seeds: readonly number[]): Promise<void> {
  for (const seed of seeds) {
    const { violation } = await simulate(seed)
    if (violation === undefined) continue
    const part = await shrink(seed, violation.rule, { ms: SHRINK_MS })
    const again = `npm run simulate -- --seed ${seed} --only ${part.map(({ id }) => id).join(',')}`
    expect.fail(`world ${seed}: ${violation.message}\n${part.map((decision) => JSON.stringify(decision)).join('\n')}\nagain: ${again}`)
  }
}

function seedsFrom(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index)
}

describe('in a simulated world every rule holds', () => {
  it.each([1, 16, 31, 46])(
    'whose seed is %i, and in those that follow',
    (first) => expectRulesHold(seedsFrom(first, WORLDS_OF_TEST)),
    TIMEOUT_MS,
  )
})

describe('a world that was found once', () => {
  it('acknowledges a call of an earlier run while that of the present one waits for its turn', async () => {
    const history = historyOf(632_671_804).filter(({ id }) => id <= 3)
    expect((await simulate(632_671_804, { history })).violation).toBeUndefined()
  })
})

describe('where two nodes share a PostgreSQL database', () => {
  it(
    'every rule holds',
    async () => {
      const history = historyOf(POSTGRES_SEED).slice(0, POSTGRES_DECISIONS)
      expect((await simulate(POSTGRES_SEED, { history, postgres: inject('postgresUrl') })).violation).toBeUndefined()
    },
    TIMEOUT_MS,
  )
})

describe('a simulated world', () => {
  it('happens in the same way each time', async () => {
    const [once, again] = [await simulate(7), await simulate(7)]
    expect(again).toEqual(once)
    expect((await simulate(8)).digest).not.toBe(once.digest)
  })

  it('happens in the same way each time, also where only a part of it does', async () => {
    const part = historyOf(7).filter(({ id }) => id % 3 > 0)
    expect(await simulate(7, { history: part })).toEqual(await simulate(7, { history: part }))
  })
})

/** A store of which one verb does wrong, and the rule that finds it. */
const WRONGS: readonly (readonly [does: string, rule: string, tamper: Tamper])[] = [
  [
    'claims before the time',
    'nothing is claimed before its time',
    (store) => ({ claimDue: (claim) => store.claimDue({ ...claim, now: claim.now + 9000 }) }),
  ],
  ['says that it has stored what it has not', 'what was accepted is stored', storesNothing],
  ['never renews a lease', 'an attempt is lost by a crash or a lost answer', () => ({ renew: () => Promise.resolve() })],
  [
    'records nothing',
    'an attempt is lost by a crash or a lost answer',
    () => ({ record: (outcomes) => Promise.resolve(outcomes.map(() => true)) }),
  ],
  ['ends nothing that is out of time', 'every task ends', () => ({ expire: () => Promise.resolve({ tasks: [], more: false }) })],
  ['leaves one out of a page', 'a page walk sees every entry that lived throughout', leavesOut],
  [
    'records what became of a task without its attempt',
    'the ledger says that every promise was kept',
    (store) => ({ record: (outcomes) => store.record(outcomes.map(({ attempt: _, ...outcome }) => outcome)) }),
  ],
  ['removes what it should only show', 'no accepted task vanishes', removes],
]

describe('a store is found out that', () => {
  it.each(WRONGS)(
    '%s',
    async (_does, rule, tamper) => {
      const found: string[] = []
      for (const seed of seedsFrom(1, 30)) {
        const { violation } = await simulate(seed, { tamper })
        if (violation) found.push(violation.rule)
        if (violation?.rule === rule) break
      }
      expect(found).toContain(rule)
    },
    TIMEOUT_MS,
  )
})

function storesNothing(): Partial<Store> {
  return {
    put: (tasks, { now }) =>
      Promise.resolve(tasks.map((task) => ({ status: 'created', task: pendingTask(task, { created: now, now }) }) as const)),
  }
}

function leavesOut(store: Store): Partial<Store> {
  return {
    list: async (selection, page) => {
      const { tasks, more } = await store.list(selection, page)
      return { tasks: tasks.slice(tasks.length > 3 ? 1 : 0), more }
    },
  }
}

function removes(store: Store): Partial<Store> {
  return {
    history: async (key) => {
      await store.remove({ name: key.name }, { now: 0, limit: 1 })
      return store.history(key)
    },
  }
}
