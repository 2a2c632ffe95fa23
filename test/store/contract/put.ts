import { expect } from 'vitest'
import { TASK_STATES } from '../../../src/domain/task/task.ts'
import type { NewTask, Task, TaskDefinition } from '../../../src/domain/task/task.ts'
import { aTask, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { anEntry, claimAll, DUE, keysOf, listAll, mustGet, NEVER_RUN, seed } from './support/tasks.ts'

const DEFINITION: TaskDefinition = {
  callback: 'https://receiver.test:8443/run?q=ü',
  callback_method: 'PATCH',
  payload: { text: 'ä😀\u0000"', list: [1, -2.5, true, null, [], {}], big: 9_007_199_254_740_991 },
  headers: { 'X-One': '1', Authorization: 'Bearer secret' },
  expected_http_status: [204, '2xx'],
  retry: 7,
  max_delay: 11,
  timeout: 13,
  delivery: 'at_least_once',
  error_callback: 'https://receiver.test:8443/failed',
  ack_timeout: 17,
  repeat: '5 4 * * *',
  timezone: 'Europe/Berlin',
  spread: 19,
}

/** Every field has a value of its own. */
const FULL: NewTask = {
  name: 'ä-“name”-😀',
  triggerAt: 253_402_300_740,
  definition: DEFINITION,
  host: 'receiver.test:8443',
  dueAt: 253_402_300_740_017,
  windowFrom: 253_402_300_740_018,
  inAdvance: true,
  deadline: 253_402_300_740_019,
  runId: '0d9b8c1e-3f1a-4a63-9f0e-6a0f2b6c7d8e',
}

const UNTOUCHED = { ...NEVER_RUN, rescheduledFrom: null }

export default area('put', (test) => {
  test('stores a pending entry with every field as it was given', async ({ store, reopen }) => {
    const expected: Task = {
      ...UNTOUCHED,
      ...FULL,
      created: 1_799_999_999_123,
      updated: 1_799_999_999_123,
    }
    expect(await store.put([FULL], { now: 1_799_999_999_123 })).toEqual([{ status: 'created', task: expected }])
    expect(await store.get(FULL)).toEqual(expected)
    expect((await store.list({}, { limit: 1 })).tasks).toEqual([expected])
    expect(await (await reopen()).get(FULL)).toEqual(expected)
  })

  test('gives numbers back as numbers, also those beyond 32 bits', async ({ store }) => {
    await store.put([FULL], { now: 8_640_000_000_000_000 })
    const task = await mustGet(store, FULL)
    for (const field of ['triggerAt', 'dueAt', 'deadline', 'attempts', 'lost', 'created', 'updated'] as const)
      expect(task[field]).toBeTypeOf('number')
    expect(task.created).toBe(8_640_000_000_000_000)
    for (const count of Object.values(await store.counts())) expect(count).toBeTypeOf('number')
  })

  for (const payload of [
    '',
    ' ',
    '0',
    'null',
    '{"a":1}',
    'line\r\nbreak',
    "'; DROP TABLE tasks; --",
    0,
    false,
    null,
    [],
    {},
    { __proto__: null, toString: 1 },
  ]) {
    test(`keeps the payload ${JSON.stringify(payload)} as it is`, async ({ store }) => {
      await store.put([aTask({ definition: { payload } })], { now: DUE })
      expect((await mustGet(store, aTask())).definition).toEqual({ callback: 'http://receiver.test/run', payload })
    })
  }

  test('stores nothing where nothing is given', async ({ store }) => {
    expect(await store.put([], { now: DUE })).toEqual([])
    expect(await listAll(store)).toEqual([])
  })

  for (const state of TASK_STATES.filter((one) => one !== 'running')) {
    test(`replaces a ${state} entry and starts it afresh`, async ({ store }) => {
      const before = await anEntry(store, state)
      const task = aTask({ definition: { callback: 'http://other.test/', payload: 'new' } })
      const expected: Task = { ...task, ...UNTOUCHED, windowFrom: DUE, created: before.created, updated: DUE + 500 }
      expect(await store.put([task], { now: DUE + 500 })).toEqual([{ status: 'replaced', task: expected }])
      expect(await listAll(store)).toEqual([expected])
    })
  }

  test('leaves a running entry as it is', async ({ store }) => {
    const before = await anEntry(store, 'running')
    expect(await store.put([aTask({ definition: { payload: 'new' } })], { now: DUE + 500 })).toEqual([{ status: 'running' }])
    expect(await listAll(store)).toEqual([before])
  })

  for (const state of TASK_STATES) {
    test(`with ifAbsent leaves a ${state} entry as it is`, async ({ store }) => {
      const before = await anEntry(store, state)
      expect(await store.put([aTask({ definition: { payload: 'new' } })], { now: DUE + 500, ifAbsent: true })).toEqual([
        { status: 'exists' },
      ])
      expect(await listAll(store)).toEqual([before])
    })
  }

  test('keeps the text of a payload, also in a copy', async ({ store }) => {
    const definition = { payload: '{ "2": 1.0,\n"1": 1e400, "\\u0000": "\\ud800" }', payload_is_json: true } as const
    await store.put([aTask({ definition }), aTask({ name: 'plain', definition: { payload: definition.payload } })], { now: DUE })
    await store.reschedule({ ...{ selection: {}, all: true, triggerAt: MINUTE + 60, now: DUE, dryRun: false }, limit: 9 })
    const tasks = await listAll(store)
    expect(tasks.map(({ definition: { payload, payload_is_json } }) => [payload, payload_is_json])).toEqual([
      [definition.payload, true],
      [definition.payload, undefined],
    ])
  })

  test('with ifAbsent stores what is not there', async ({ store }) => {
    const results = await store.put([aTask(), aTask({ triggerAt: MINUTE + 60 }), aTask()], { now: DUE, ifAbsent: true })
    expect(results.map(({ status }) => status)).toEqual(['created', 'created', 'exists'])
  })

  test('answers in the order of the tasks, each for itself', async ({ store }) => {
    await seed(store, [
      { name: 'waits', state: 'pending' },
      { name: 'runs', state: 'running' },
      { name: 'failed', state: 'failed' },
    ])
    const names = ['runs', 'new', 'waits', 'new', 'failed', 'runs']
    const results = await store.put(
      names.map((name) => aTask({ name })),
      { now: DUE + 1 },
    )
    expect(results.map(({ status }) => status)).toEqual(['running', 'created', 'replaced', 'replaced', 'replaced', 'running'])
    expect(results.map((result) => 'task' in result && result.task.name)).toEqual([false, 'new', 'waits', 'new', 'failed', false])
  })

  test('tells entries apart by name and by minute, letter by letter', async ({ store }) => {
    const keys = [
      { name: 'a', triggerAt: MINUTE },
      { name: 'A', triggerAt: MINUTE },
      { name: 'a', triggerAt: MINUTE + 60 },
      { name: 'ä', triggerAt: MINUTE },
      { name: 'a\u0308', triggerAt: MINUTE },
    ]
    const results = await store.put(keys.map(aTask), { now: DUE })
    expect(results.map(({ status }) => status)).toEqual(keys.map(() => 'created'))
    for (const key of keys) expect(await store.get(key)).toMatchObject(key)
  })

  test('that fails stores none of its tasks, and hurts no other write of the same moment', async ({ store }) => {
    const broken = { ...aTask({ name: 'broken' }), triggerAt: MINUTE + 1 }
    const [before, failed, after] = await Promise.allSettled([
      store.put([aTask({ name: 'before' })], { now: DUE }),
      store.put([aTask({ name: 'with-broken' }), broken], { now: DUE }),
      store.put([aTask({ name: 'after' })], { now: DUE }),
    ])
    expect([before.status, failed.status, after.status]).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect((await listAll(store)).map(({ name }) => name)).toEqual(['after', 'before'])
  })

  test('takes writes of the same moment in the order in which they came', async ({ store }) => {
    const tasks = Array.from({ length: 200 }, (_, n) => aTask({ definition: { payload: n } }))
    const results = await Promise.all(tasks.map((task) => store.put([task], { now: DUE })))
    expect(results.map(([result]) => result?.status)).toEqual(['created', ...Array<string>(199).fill('replaced')])
    expect((await mustGet(store, aTask())).definition.payload).toBe(199)
  })

  test('of a thousand entries makes each of them due', async ({ store }) => {
    const tasks = Array.from({ length: 1000 }, (_, n) => aTask({ name: `task-${n}` }))
    await store.put(tasks, { now: DUE })
    expect(keysOf(await claimAll(store)).sort()).toEqual(keysOf(tasks).sort())
  })

  test('moves an entry that it replaces to its new host and time', async ({ store }) => {
    await store.put([aTask()], { now: DUE - 1 })
    await store.put([aTask({ definition: { callback: 'http://other.test/' }, dueAt: DUE + 5 })], { now: DUE - 1 })
    expect(await claimAll(store, DUE + 4)).toEqual([])
    expect(await claimAll(store, DUE + 5)).toMatchObject([{ host: 'other.test' }])
  })

  test('get and history know nothing of an entry that is not there', async ({ store }) => {
    await store.put([aTask()], { now: DUE })
    expect(await store.get({ name: 'a-task', triggerAt: MINUTE + 60 })).toBeUndefined()
    expect(await store.get({ name: 'a-tas', triggerAt: MINUTE })).toBeUndefined()
    expect(await store.history({ name: 'other', triggerAt: MINUTE })).toEqual([])
    expect(await store.history(aTask())).toEqual([])
  })
})
