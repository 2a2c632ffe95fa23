import fc, { runs } from '../../support/fast-check.ts'
import { expect } from 'vitest'
import { TASK_STATES } from '../../../src/domain/task/task.ts'
import type { TaskState } from '../../../src/domain/task/task.ts'
import type { TaskKey } from '../../../src/domain/task/task-key.ts'
import type { Selection, Store } from '../../../src/store/store.ts'
import { aTask, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { DUE, inOrder, keyOf, keysOf, listAll, seed } from './support/tasks.ts'
import type { Entry } from './support/tasks.ts'

/** Their order as UTF-8 differs from their order as UTF-16 and from any dictionary's. */
const NAMES = ['a', 'Z', 'z', 'aa', 'é', 'e\u0301', 'ß', '日本', '\uE000', '\uFFFD', '😀', '\u{10FFFD}', '0', '~', "'"]
/** More rows than a store may look at in one go. */
const MANY = 4100

export default area('list', (test) => {
  test('orders by minute, then by the bytes of the name', async ({ store }) => {
    const keys = NAMES.flatMap((name) => [2, 0, 1].map((minute) => ({ name, triggerAt: MINUTE + minute * 60 })))
    await store.put(keys.map(aTask), { now: DUE })
    expect(keysOf(await listAll(store))).toEqual(keysOf([...keys].sort(inOrder)))
    for (const limit of [1, 2, 7, 44, 45, 46]) expect(keysOf(await listAll(store, {}, limit))).toEqual(keysOf([...keys].sort(inOrder)))
  })

  test('says that there is more exactly where there is', async ({ store }) => {
    await store.put(
      [1, 2, 3].map((n) => aTask({ name: `n${n}` })),
      { now: DUE },
    )
    expect(await store.list({}, { limit: 2 })).toMatchObject({ tasks: [{ name: 'n1' }, { name: 'n2' }], more: true })
    expect(await store.list({}, { limit: 3 })).toMatchObject({ more: false })
    expect(await store.list({}, { limit: 2, after: { name: 'n1', triggerAt: MINUTE } })).toMatchObject({
      tasks: [{ name: 'n2' }, { name: 'n3' }],
      more: false,
    })
    expect(await store.list({}, { limit: 2, after: { name: 'n3', triggerAt: MINUTE } })).toEqual({ tasks: [], more: false })
  })

  test('starts after a key also where there is no entry of that key', async ({ store }) => {
    await store.put(
      ['a', 'c'].flatMap((name) => [0, 120].map((later) => aTask({ name, triggerAt: MINUTE + later }))),
      { now: DUE },
    )
    const after = async (key: TaskKey, selection: Selection = {}) => keysOf((await store.list(selection, { after: key, limit: 9 })).tasks)
    const [a, c, laterA, laterC] = [`a@${MINUTE}`, `c@${MINUTE}`, `a@${MINUTE + 120}`, `c@${MINUTE + 120}`]
    expect(await after({ name: 'b', triggerAt: MINUTE })).toEqual([c, laterA, laterC])
    expect(await after({ name: 'a\u0001', triggerAt: MINUTE })).toEqual([c, laterA, laterC])
    expect(await after({ name: 'zz', triggerAt: MINUTE + 60 })).toEqual([laterA, laterC])
    expect(await after({ name: 'zz', triggerAt: MINUTE - 60 })).toEqual([a, c, laterA, laterC])
    expect(await after({ name: 'zz', triggerAt: MINUTE + 180 })).toEqual([])
    expect(await after({ name: 'zz', triggerAt: MINUTE }, { name: 'c' })).toEqual([laterC])
    expect(await after({ name: 'a', triggerAt: MINUTE }, { name: 'c' })).toEqual([c, laterC])
    expect(await after({ name: 'b', triggerAt: MINUTE }, { from: MINUTE + 60 })).toEqual([laterA, laterC])
    expect(await after({ name: 'b', triggerAt: MINUTE }, { states: ['pending'] })).toEqual([c, laterA, laterC])
  })

  test('takes from as the first and to as the first that is left out', async ({ store }) => {
    await store.put(
      [0, 60, 120].map((later) => aTask({ triggerAt: MINUTE + later })),
      { now: DUE },
    )
    const minutes = async (selection: Selection) => (await listAll(store, selection)).map(({ triggerAt }) => triggerAt - MINUTE)
    for (const filter of [
      {},
      { name: 'a-task' },
      { states: ['pending'] },
      { states: ['pending', 'failed', 'successful'] },
    ] satisfies Selection[]) {
      expect(await minutes({ ...filter, from: MINUTE + 60 })).toEqual([60, 120])
      expect(await minutes({ ...filter, from: MINUTE + 61 })).toEqual([120])
      expect(await minutes({ ...filter, to: MINUTE + 60 })).toEqual([0])
      expect(await minutes({ ...filter, to: MINUTE + 61 })).toEqual([0, 60])
      expect(await minutes({ ...filter, from: MINUTE + 60, to: MINUTE + 120 })).toEqual([60])
      expect(await minutes({ ...filter, from: MINUTE + 120, to: MINUTE })).toEqual([])
    }
  })

  test('lists the states that are asked for, in every combination of them', async ({ store }) => {
    const entries = [0, 1, 2].flatMap((minute) =>
      TASK_STATES.map((state) => ({ name: `is-${state}`, triggerAt: MINUTE + minute * 60, state })),
    )
    await seed(store, entries)
    for (let bits = 0; bits < 2 ** TASK_STATES.length; bits += 1) {
      const states = TASK_STATES.filter((_, index) => bits & (1 << index))
      const expected = keysOf(entries.filter(({ state }) => states.includes(state)).sort(inOrder))
      expect(keysOf(await listAll(store, { states }, 2)), states.join()).toEqual(expected)
    }
  })

  test('lists an entry once where a state is asked for twice', async ({ store }) => {
    await seed(
      store,
      TASK_STATES.map((state) => ({ name: state, state })),
    )
    const names = async (states: TaskState[]) => (await listAll(store, { states }, 2)).map(({ name }) => name)
    expect(await names(['failed', 'failed'])).toEqual(['failed'])
    expect(await names(['failed', 'failed', 'failed', 'failed', 'failed', 'failed'])).toEqual(['failed'])
    expect(await names(['pending', 'running', 'pending'])).toEqual(['pending', 'running'])
  })

  test('finds nothing in an empty store', async ({ store }) => {
    for (const selection of [
      {},
      { name: 'a' },
      { states: ['pending'] },
      { states: ['failed'] },
      { states: [] },
      { name: 'a', states: [] },
    ] satisfies Selection[]) {
      expect(await store.list(selection, { limit: 10 })).toEqual({ tasks: [], more: false })
    }
  })

  test('finds the only match among thousands of others, wherever it stands, and ends where there is none', async ({ store }) => {
    const tasks = Array.from({ length: MANY }, (_, n) => aTask({ triggerAt: MINUTE + n * 60 }))
    await store.put(tasks, { now: DUE })
    const selections: Selection[] = [
      { states: ['successful'] },
      { states: ['successful', 'running'] },
      { name: 'a-task', states: ['failed', 'successful'] },
    ]
    for (const selection of selections) expect(await store.list(selection, { limit: 5 })).toEqual({ tasks: [], more: false })
    expect(await listAll(store, { name: 'other' })).toEqual([])
    for (const place of [0, 1999, 2000, 2001, MANY - 1]) {
      const key = { name: 'a-task', triggerAt: MINUTE + place * 60 }
      await seed(store, [{ ...key, state: 'successful' }])
      for (const selection of [{ states: ['successful'] }, { name: 'a-task', states: ['successful', 'failed'] }] satisfies Selection[]) {
        expect(keysOf((await store.list(selection, { limit: 5 })).tasks)).toEqual([keyOf(key)])
        expect((await store.list(selection, { limit: 1 })).more).toBe(false)
      }
      await store.put([aTask(key)], { now: DUE })
    }
  })

  test('gives each entry once, in order, for any selection and any size of page', async ({ store }) => {
    await fc.assert(
      fc.asyncProperty(entriesOf(40), selections, fc.integer({ min: 1, max: 12 }), async (entries, selection, limit) => {
        await store.remove({}, { now: DUE, limit: 1000 })
        await clearRunning(store)
        await seed(store, entries)
        expect(keysOf(await listAll(store, selection, limit))).toEqual(keysOf(entries.filter(matches(selection)).sort(inOrder)))
      }),
      { numRuns: runs({ gate: 20, night: 120 }) },
    )
  })

  test('gives what stays exactly once while other entries come and go between the pages', async ({ store }) => {
    const scenario = fc.record({
      stays: entriesOf(20),
      comesAndGoes: entriesOf(20),
      selection: selections,
      limit: fc.integer({ min: 1, max: 4 }),
    })
    await fc.assert(
      fc.asyncProperty(scenario, async ({ stays, comesAndGoes, selection, limit }) => {
        await store.remove({}, { now: DUE, limit: 1000 })
        await clearRunning(store)
        const names = new Set(keysOf(stays.map(withKey)))
        const others = comesAndGoes.filter((entry) => !names.has(keyOf(withKey(entry))))
        await seed(store, [...stays, ...others.filter((_, n) => n % 2 === 0)])
        const seen = await pagesWhileRowsMove(store, selection, limit, others)
        expect(seen).toEqual([...seen].sort(inOrder))
        expect(new Set(keysOf(seen)).size).toBe(seen.length)
        expect(keysOf(seen).filter((key) => names.has(key))).toEqual(keysOf(stays.filter(matches(selection)).sort(inOrder)))
      }),
      { numRuns: runs({ gate: 20, night: 120 }) },
    )
  })
})

/** Between two pages one entry is removed and another one, which was not there, is stored. */
async function pagesWhileRowsMove(store: Store, selection: Selection, limit: number, others: readonly Listed[]): Promise<TaskKey[]> {
  const seen: TaskKey[] = []
  for (let turn = 0; ; turn += 1) {
    const last = seen.at(-1)
    const { tasks, more } = await store.list(selection, { limit, ...(last && { after: last }) })
    seen.push(...tasks.map(({ name, triggerAt }) => ({ name, triggerAt })))
    if (!more) return seen
    const [goes, comes] = [others[turn * 2], others[turn * 2 + 1]]
    if (goes) await store.remove({ name: goes.name, from: goes.triggerAt, to: goes.triggerAt + 60 }, { now: DUE, limit: 1 })
    if (comes) await seed(store, [comes])
  }
}

type Listed = Entry & TaskKey

function entriesOf(maxLength: number): fc.Arbitrary<Listed[]> {
  const entry = fc.record({
    name: fc.constantFrom(...NAMES.slice(0, 12)),
    triggerAt: fc.nat(9).map((minute) => MINUTE + minute * 60),
    state: fc.constantFrom(...TASK_STATES),
  })
  return fc.uniqueArray(entry, { maxLength, selector: keyOf })
}

const times = fc.option(
  fc.nat(11 * 60).map((seconds) => MINUTE - 60 + seconds),
  { nil: undefined, freq: 2 },
)
const selections: fc.Arbitrary<Selection> = fc
  .record({
    name: fc.option(fc.constantFrom(...NAMES.slice(0, 12)), { nil: undefined, freq: 2 }),
    states: fc.option(fc.subarray([...TASK_STATES]), { nil: undefined, freq: 3 }),
    from: times,
    to: times,
  })
  .map((filters) => Object.fromEntries(Object.entries(filters).filter(([, value]) => value !== undefined)))

function matches({ name, states, from, to }: Selection): (entry: Listed) => boolean {
  return (entry) =>
    (name === undefined || entry.name === name) &&
    (states?.includes(entry.state) ?? true) &&
    (from === undefined || entry.triggerAt >= from) &&
    (to === undefined || entry.triggerAt < to)
}

function withKey({ name, triggerAt }: Listed): TaskKey {
  return { name, triggerAt }
}

/** Running entries are not removed; they are settled first. */
async function clearRunning(store: Store): Promise<void> {
  await store.rescue({ now: DUE, onlyNode: 'nobody', limit: 1000 })
  await store.remove({}, { now: DUE, limit: 1000 })
}
