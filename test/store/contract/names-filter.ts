import { expect } from 'vitest'
import { TASK_STATES } from '../../../src/domain/task/task.ts'
import type { TaskState } from '../../../src/domain/task/task.ts'
import type { Selection, Store } from '../../../src/store/store.ts'
import { aTask, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { claimAll, DUE, finishAll, inOrder, keyOf, keysOf, listAll, putHandler, rescheduleAll, seed } from './support/tasks.ts'

/** Those that `mail.*` stands for are around it in the order of bytes. */
const NAMES = ['mail', 'mail-', 'mail.', 'mail.a', 'mail.é', 'mail.\u{10ffff}', 'mail0', 'Mail.a', 'mail.*', 'ä', 'a\u0308']
const PATTERNS = ['*', 'mail*', 'mail.*', 'mail.a', 'mail.a*', 'mail.**', 'm', 'none*', 'ä*', 'a*', 'M*', 'mail.\u{10ffff}*']
const MINUTES = [-60, 0, 60]
const RESCHEDULED = MINUTE + 6000

export default area('a filter by names', (test) => {
  test('lists those whose names match, in order, with any other filter and any size of page', async ({ store }) => {
    await seedAll(store)
    const all = await listAll(store)
    expect(all).toHaveLength(NAMES.length * MINUTES.length)
    const stateSets: (readonly TaskState[] | undefined)[] = [
      undefined,
      ['failed'],
      ['running', 'retrying'],
      ['pending'],
      ['successful'],
      TASK_STATES,
      [],
    ]
    for (const names of PATTERNS) {
      for (const states of stateSets) {
        for (const rest of [{}, { from: MINUTE }, { to: MINUTE }, { name: 'mail.a' }, { name: 'ä', from: MINUTE - 60 }]) {
          const selection: Selection = { names, ...(states && { states }), ...rest }
          const expected = keysOf(all.filter((task) => isSelected(selection, task)))
          for (const limit of [1, 4, 1000])
            expect([selection, keysOf(await listAll(store, selection, limit))]).toEqual([selection, expected])
        }
      }
    }
  })

  for (const [what, states] of [
    ['rare', ['failed']],
    ['common', ['pending']],
    ['any', undefined],
  ] as const) {
    test(`finds the few of ${what} state among thousands of others, wherever they stand, and ends where there are none`, async ({
      store,
    }) => {
      await putMany(store, 6000, 'other', what === 'rare')
      const wanted = ['wanted.a', 'wanted.b', 'wanted.c'].map((name, n) => ({ name, triggerAt: MINUTE + n * 2999 * 60 }))
      for (const key of wanted) await store.put([aTask({ ...key, dueAt: DUE })], { now: DUE - 9 })
      if (what === 'rare') await finishAll(store, await claimAll(store), DUE, 404)
      const selection = { names: 'wanted.*', ...(states && { states: [...states] }) }
      for (const limit of [1, 2, 3, 100]) expect(keysOf(await listAll(store, selection, limit))).toEqual(keysOf(wanted))
      expect(keysOf(await listAll(store, { ...selection, names: 'wanted.b' }))).toEqual(keysOf(wanted.slice(1, 2)))
      expect(await store.list({ ...selection, names: 'wante' }, { limit: 9 })).toEqual({ tasks: [], more: false })
      expect(await store.remove({ ...selection, states: selection.states ?? TASK_STATES }, { now: DUE, limit: 2 })).toBe(2)
      expect(keysOf(await listAll(store, selection))).toEqual(keysOf(wanted.slice(2)))
    })
  }

  test('removes those whose names match, oldest first, and never what is running', async ({ store }) => {
    await seedAll(store)
    const all = await listAll(store)
    const selection = { names: 'mail.*', states: TASK_STATES }
    const matching = all.filter((task) => isSelected(selection, task) && task.state !== 'running')
    expect(await store.remove(selection, { now: DUE, limit: 4 })).toBe(4)
    expect(await store.remove(selection, { now: DUE, limit: 1000 })).toBe(matching.length - 4)
    expect(keysOf(await listAll(store))).toEqual(keysOf(all.filter((task) => !matching.includes(task))))
  })

  for (const all of [false, true]) {
    test(`gives those whose names match a new time${all ? ', all of them' : ''}, in batches of any size`, async ({ store }) => {
      for (const limit of [1, 3, 1000]) {
        await store.rescue({ now: DUE + 1e9, limit: 1000 })
        await store.remove({}, { now: DUE, limit: 1000 })
        await seedAll(store)
        const before = await listAll(store)
        const taken = before.filter(({ state }) => (all ? state !== 'running' : state === 'failed' || state === 'skipped'))
        const request = { selection: { names: 'mail.*' }, all, triggerAt: RESCHEDULED, now: DUE, limit }
        const dry = all ? undefined : await rescheduleAll(store, { ...request, dryRun: true })
        const tasks = await rescheduleAll(store, { ...request, dryRun: false })
        const matching = taken.filter((task) => isSelected(request.selection, task))
        expect(tasks.map(({ name, rescheduledFrom }) => `${name}@${rescheduledFrom ?? ''}`).sort()).toEqual(keysOf(matching).sort())
        if (dry && limit === 1000) expect(keysOf(dry)).toEqual(keysOf(tasks))
        const others = (task: { name: string }) => !isSelected({ names: 'mail.*' }, { ...task, triggerAt: 0, state: 'pending' })
        expect((await listAll(store)).filter(others)).toEqual(before.filter(others))
      }
    })
  }

  test('reads a beginning with thousands of entries page by page, those of a handler with its defaults', async ({ store, reopen }) => {
    await putMany(store, 2500, 'a', false)
    await putMany(store, 2500, 'a.x', false)
    await putMany(store, 100, 'b', false)
    await putHandler(store, 'a.*', { retry: 9 })
    const opened = await reopen()
    const tasks = await listAll(opened, { names: 'a.*' }, 700)
    expect(tasks).toHaveLength(2500)
    expect(new Set(tasks.map(({ name, definition }) => `${name} ${definition.retry}`))).toEqual(new Set(['a.x 9']))
    expect([...tasks].sort(inOrder)).toEqual(tasks)
    expect(await listAll(opened, { names: 'a*' }, 1000)).toHaveLength(5000)
  })

  test('shows no error callback, whatever name its task has', async ({ store }) => {
    await putHandler(store, '*', { error_callback: 'http://told.test/' })
    await store.put([aTask({ name: 'mail.a' })], { now: DUE - 9 })
    await finishAll(store, await claimAll(store), DUE, 404)
    expect(await claimAll(store)).toHaveLength(1)
    for (const names of ['*', 'mail.*', 'mail.a*']) {
      expect((await listAll(store, { names })).map(keyOf)).toEqual([`mail.a@${MINUTE}`])
      expect(await listAll(store, { names, states: ['running', 'pending'] })).toEqual([])
    }
  })
})

function isSelected(
  { name, names = '*', states, from = 0, to = Infinity }: Selection,
  task: { name: string; triggerAt: number; state: TaskState },
) {
  const isNamed = names.endsWith('*') ? task.name.startsWith(names.slice(0, -1)) : task.name === names
  const isOfName = name === undefined || task.name === name
  return isNamed && isOfName && (states?.includes(task.state) ?? true) && task.triggerAt >= from && task.triggerAt < to
}

/** Every name at every minute, the states in turn. */
async function seedAll(store: Store): Promise<void> {
  const keys = MINUTES.flatMap((minute) => NAMES.map((name) => ({ name, triggerAt: MINUTE + minute * 60 })))
  await seed(
    store,
    keys.map((key, n) => ({ ...key, state: TASK_STATES[n % TASK_STATES.length] ?? 'pending' })),
  )
}

async function putMany(store: Store, count: number, name: string, failed: boolean): Promise<void> {
  for (let start = 0; start < count; start += 1000) {
    const tasks = Array.from({ length: Math.min(1000, count - start) }, (_, n) =>
      aTask({ name, triggerAt: MINUTE + (start + n) * 60, dueAt: DUE - 1, deadline: DUE + 1e9 }),
    )
    await store.put(tasks, { now: DUE - 9 })
    if (failed) await finishAll(store, await claimAll(store), DUE, 404)
  }
}
