import { expect } from 'vitest'
import { TASK_STATES } from '../../../src/domain/task/task.ts'
import type { Task, TaskState } from '../../../src/domain/task/task.ts'
import type { RescheduleRequest, Store } from '../../../src/store/store.ts'
import { aTask, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { aClaim, anEntry, claimAll, DUE, keysOf, listAll, mustGet, NEVER_RUN, rescheduleAll, seed } from './support/tasks.ts'

const TARGET = MINUTE + 3600
const NOW = DUE + 1234
const FINAL_STATES = ['successful', 'failed', 'skipped'] as const
const UUID = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/

export default area('reschedule', (test) => {
  for (const state of FINAL_STATES) {
    test(`leaves a ${state} entry as the record of what happened and makes a pending copy`, async ({ store }) => {
      const original = await anEntry(store, state, { definition: { payload: { a: 1 }, max_delay: 25 } })
      const copy = await onlyOne(store, { all: true })
      expect(copy).toEqual({ ...freshly(original), created: NOW, runId: copy.runId })
      expect(copy.runId).toMatch(UUID)
      expect(copy.runId).not.toBe(original.runId)
      expect(await listAll(store)).toEqual([{ ...original, rescheduledTo: TARGET, updated: NOW }, copy])
      expect(await store.history(copy)).toEqual([])
      expect(await store.history(original)).toHaveLength(state === 'skipped' ? 0 : 1)
    })
  }

  for (const state of ['pending', 'retrying'] as const) {
    test(`moves a ${state} entry, which starts afresh`, async ({ store }) => {
      const original = await anEntry(store, state, { definition: { max_delay: 25 } })
      const moved = await onlyOne(store, { all: true })
      expect(moved).toEqual({ ...freshly(original), created: original.created, runId: moved.runId })
      expect(moved.runId).not.toBe(original.runId)
      expect(await listAll(store)).toEqual([moved])
      expect(await store.history(moved)).toHaveLength(state === 'retrying' ? 1 : 0)
    })
  }

  test('makes a due time and a window of the new minute, and the claim finds it', async ({ store }) => {
    await anEntry(store, 'failed')
    const copy = await onlyOne(store)
    expect(copy).toMatchObject({ dueAt: TARGET * 1000, windowFrom: TARGET * 1000, deadline: TARGET * 1000 + 600_000 })
    expect((await store.claimDue(aClaim({ now: NOW }))).nextDue).toBe(TARGET * 1000)
    expect(await claimAll(store, TARGET * 1000 - 1)).toEqual([])
    expect(await claimAll(store, TARGET * 1000)).toMatchObject([{ runId: copy.runId, attempts: 1 }])
  })

  test('to a time that has come makes all entries due at once, whatever minutes are free', async ({ store, reopen }) => {
    await seed(
      store,
      [MINUTE - 60, MINUTE].map((triggerAt) => ({ triggerAt, state: 'failed' as const, definition: { max_delay: 1, spread: 59 } })),
    )
    const copies = await reschedule(store, { triggerAt: MINUTE })
    const window = { dueAt: NOW, windowFrom: NOW, deadline: NOW + 60_000, inAdvance: true }
    expect(copies).toMatchObject([MINUTE + 60, MINUTE + 120].map((triggerAt) => ({ triggerAt, ...window })))
    const opened = await reopen()
    expect(await listAll(opened, { from: MINUTE + 60 })).toEqual(copies)
    expect(await claimAll(opened, NOW)).toHaveLength(2)
  })

  test('takes failed and skipped entries, and with all every one that is not running', async ({ store }) => {
    await seed(
      store,
      TASK_STATES.map((state) => ({ name: state, state })),
    )
    expect(namesOf(await reschedule(store, { dryRun: true }))).toEqual(['failed', 'skipped'])
    expect(namesOf(await reschedule(store, { dryRun: true, all: true }))).toEqual([
      'failed',
      'pending',
      'retrying',
      'skipped',
      'successful',
    ])
    const running = await mustGet(store, { name: 'running', triggerAt: MINUTE })
    await reschedule(store, { all: true })
    expect(await mustGet(store, running)).toEqual(running)
  })

  test('takes of these the states that are asked for, and nothing where none of them may be taken', async ({ store }) => {
    await seed(
      store,
      TASK_STATES.map((state) => ({ name: state, state })),
    )
    for (let bits = 0; bits < 2 ** TASK_STATES.length; bits += 1) {
      const states = TASK_STATES.filter((_, index) => bits & (1 << index))
      const takes = async (all: boolean, selection = {}) =>
        namesOf(await reschedule(store, { dryRun: true, all, selection: { states, ...selection } }))
      const isFailure = (state: TaskState) => state === 'failed' || state === 'skipped'
      expect(await takes(false), states.join()).toEqual(states.filter(isFailure).sort())
      expect(await takes(true), states.join()).toEqual(states.filter((state) => state !== 'running').sort())
      expect(await takes(true, { name: 'skipped' }), states.join()).toEqual(states.filter((state) => state === 'skipped'))
    }
  })

  test('takes what the filters let through', async ({ store }) => {
    await seed(
      store,
      [0, 60, 120].flatMap((later) => ['a', 'b'].map((name) => ({ name, triggerAt: MINUTE + later, state: 'failed' as const }))),
    )
    const taken = async (selection: RescheduleRequest['selection']) => origins(await reschedule(store, { dryRun: true, selection }))
    expect(await taken({ name: 'a' })).toEqual([`a@${MINUTE}`, `a@${MINUTE + 60}`, `a@${MINUTE + 120}`])
    expect(await taken({ from: MINUTE + 60, to: MINUTE + 120 })).toEqual([`a@${MINUTE + 60}`, `b@${MINUTE + 60}`])
    expect(await taken({ name: 'b', from: MINUTE, to: MINUTE + 60 })).toEqual([`b@${MINUTE}`])
    expect(await taken({ name: 'c' })).toEqual([])
  })

  test('does not take again what was rescheduled already, but with all does', async ({ store }) => {
    await anEntry(store, 'failed')
    await reschedule(store)
    expect(await reschedule(store, { triggerAt: TARGET + 600 })).toEqual([])
    const again = await reschedule(store, { all: true, triggerAt: TARGET + 600, selection: { states: ['failed'] } })
    expect(keysOf(again)).toEqual([`a-task@${TARGET + 600}`])
    expect(await mustGet(store, aTask())).toMatchObject({ state: 'failed', rescheduledTo: TARGET + 600 })
    expect(keysOf(await listAll(store))).toEqual([`a-task@${MINUTE}`, `a-task@${TARGET}`, `a-task@${TARGET + 600}`])
  })

  test('takes a copy that has failed itself', async ({ store }) => {
    await anEntry(store, 'failed')
    const copy = await onlyOne(store)
    await store.expire({ now: copy.deadline, limit: 1 })
    expect(origins(await reschedule(store, { triggerAt: TARGET + 600 }))).toEqual([`a-task@${TARGET}`])
  })

  test('passes on to the next free minute where the minute is taken, whatever has it', async ({ store }) => {
    const states: TaskState[] = ['pending', 'running', 'successful', 'failed', 'skipped', 'retrying']
    await seed(store, [...states.map((state, n) => ({ state, triggerAt: TARGET + n * 60 })), { state: 'failed', triggerAt: MINUTE }])
    const before = await listAll(store, { from: TARGET })
    const copy = await onlyOne(store, { selection: { to: TARGET } })
    expect(copy.triggerAt).toBe(TARGET + 360)
    expect(copy.dueAt).toBe((TARGET + 360) * 1000)
    expect(await listAll(store, { from: TARGET, to: TARGET + 360 })).toEqual(before)
    expect(await mustGet(store, aTask())).toMatchObject({ rescheduledTo: TARGET + 360 })
  })

  test('takes a gap between taken minutes', async ({ store }) => {
    await seed(
      store,
      [0, 60, 180].map((later) => ({ state: 'pending' as const, triggerAt: TARGET + later })),
    )
    await anEntry(store, 'failed')
    expect((await onlyOne(store)).triggerAt).toBe(TARGET + 120)
  })

  test('takes the minute that an entry before has just left', async ({ store }) => {
    const states: TaskState[] = ['running', 'running', 'running', 'pending', 'pending']
    await seed(
      store,
      states.map((state, n) => ({ state, triggerAt: TARGET + n * 60 + (state === 'pending' ? 60 : 0) })),
    )
    expect(keysOf(await reschedule(store, { all: true }))).toEqual([`a-task@${TARGET + 180}`, `a-task@${TARGET + 240}`])
  })

  test('gives several failed entries of one name to one minute a minute each, in their order', async ({ store }) => {
    await seed(
      store,
      [0, 60, 120].flatMap((later) => ['a', 'b'].map((name) => ({ name, triggerAt: MINUTE + later, state: 'failed' as const }))),
    )
    const tasks = await reschedule(store)
    const to = (name: string) =>
      tasks
        .filter((task) => task.name === name)
        .map(({ triggerAt, rescheduledFrom }) => [(rescheduledFrom ?? 0) - MINUTE, triggerAt - TARGET])
    expect(to('a')).toEqual([
      [0, 0],
      [60, 60],
      [120, 120],
    ])
    expect(to('b')).toEqual([
      [0, 0],
      [60, 60],
      [120, 120],
    ])
    for (const task of tasks) expect(await mustGet(store, task)).toEqual(task)
    expect(await store.counts()).toMatchObject({ failed: 6, pending: 6 })
  })

  test('lets a waiting entry keep its own minute, and a final one have the next', async ({ store }) => {
    await seed(store, [
      { name: 'waits', state: 'pending' },
      { name: 'ended', state: 'failed' },
      { name: 'tries', state: 'retrying' },
    ])
    const tasks = await reschedule(store, { all: true, triggerAt: MINUTE })
    expect(keysOf(tasks).sort()).toEqual([`ended@${MINUTE + 60}`, `tries@${MINUTE}`, `waits@${MINUTE}`])
    expect(await mustGet(store, { name: 'tries', triggerAt: MINUTE })).toMatchObject({
      state: 'pending',
      attempts: 0,
      rescheduledFrom: MINUTE,
    })
    expect(await store.counts()).toMatchObject({ pending: 3, failed: 1, retrying: 0 })
  })

  test('with dryRun tells what would be done and changes nothing', async ({ store }) => {
    await seed(
      store,
      (['failed', 'skipped', 'pending', 'retrying', 'successful'] as const).map((state, n) => ({ state, triggerAt: MINUTE + n * 60 })),
    )
    const [before, counts] = [await listAll(store), await store.counts()]
    const planned = await reschedule(store, { dryRun: true, all: true })
    expect(await listAll(store)).toEqual(before)
    expect(await store.counts()).toEqual(counts)
    expect((await store.claimDue(aClaim({ now: DUE - 2, limit: 0 }))).nextDue).toBeLessThanOrEqual(DUE)
    const tasks = await reschedule(store, { all: true })
    const withoutRun = (task: Task) => ({ ...task, runId: '' })
    expect(planned.map(withoutRun)).toEqual(tasks.map(withoutRun))
  })

  test('with dryRun hurts no other write of the same moment', async ({ store }) => {
    await anEntry(store, 'failed')
    const [, planned] = await Promise.all([
      store.put([aTask({ name: 'before' })], { now: NOW }),
      reschedule(store, { dryRun: true }),
      store.put([aTask({ name: 'after' })], { now: NOW }),
    ])
    expect(keysOf(planned)).toEqual([`a-task@${TARGET}`])
    expect(namesOf(await listAll(store))).toEqual(['a-task', 'after', 'before'])
  })

  test('finds nothing to take in an empty store', async ({ store }) => {
    for (const all of [true, false]) expect(await reschedule(store, { all })).toEqual([])
  })
})

function reschedule(store: Store, fields: Partial<RescheduleRequest> = {}): Promise<Task[]> {
  return rescheduleAll(store, { selection: {}, all: false, triggerAt: TARGET, now: NOW, dryRun: false, limit: 1000, ...fields })
}

async function onlyOne(store: Store, fields: Partial<RescheduleRequest> = {}): Promise<Task> {
  const tasks = await reschedule(store, fields)
  expect(tasks).toHaveLength(1)
  const [task] = tasks as [Task]
  expect(await mustGet(store, task)).toEqual(task)
  return task
}

/** What an entry of `MINUTE` becomes at `TARGET`, but for its run id and when it was created. */
function freshly(original: Task): Omit<Task, 'created' | 'runId'> {
  const { created: _created, runId: _runId, ...kept } = original
  const window = { triggerAt: TARGET, dueAt: TARGET * 1000, windowFrom: TARGET * 1000, deadline: TARGET * 1000 + 25 * 60_000 }
  return { ...kept, ...NEVER_RUN, ...window, updated: NOW, rescheduledFrom: MINUTE }
}

function namesOf(tasks: readonly Task[]): string[] {
  return tasks.map(({ name }) => name).sort()
}

function origins(tasks: readonly Task[]): string[] {
  return tasks.map(({ name, rescheduledFrom }) => `${name}@${rescheduledFrom ?? 'nothing'}`).sort()
}
