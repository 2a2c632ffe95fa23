import { expect } from 'vitest'
import type { Task } from '../../../src/domain/task/task.ts'
import type { TaskChange } from '../../../src/domain/task/task-change.ts'
import type { Store } from '../../../src/store/store.ts'
import { aTask, aTaskWithoutCallback, MINUTE } from '../../support/a-task.ts'
import { ackOf } from './acknowledge.ts'
import { area } from './support/area.ts'
import {
  anEntry,
  answered,
  claimAll,
  claimOne,
  DUE,
  expireAll,
  finish,
  LEASE_MS,
  mustGet,
  putHandler,
  rescheduleAll,
} from './support/tasks.ts'

const KEY = { name: 'a-task', triggerAt: MINUTE }
const ACK = { ack_timeout: 5 }
const RESCHEDULE = { selection: {}, triggerAt: MINUTE + 600, now: DUE + 99, dryRun: false, limit: 10 }

/** All changes that a store keeps after an id, which have to be told in whatever pages they are asked for. */
export async function changesSince(store: Store, after = 0): Promise<TaskChange[]> {
  const changes: TaskChange[] = []
  for (;;) {
    const page = await store.changes({ after: changes.at(-1)?.id ?? after, limit: 1000 })
    if (page.changes.length === 0) return changes
    changes.push(...page.changes)
  }
}

/** What `write` has told. */
export async function told(store: Store, write: () => Promise<unknown>): Promise<TaskChange[]> {
  const { last } = await store.changes({ after: 0, limit: 1 })
  await write()
  return changesSince(store, last)
}

/** What a verb does, and what it tells. */
interface Verb {
  readonly what: string
  prepare(store: Store): Promise<unknown>
  run(store: Store): Promise<unknown>
  readonly kinds: readonly TaskChange['kind'][]
}

const nothing = (): Promise<void> => Promise.resolve()

/** A store whose task has just been claimed, and what is recorded of its call. */
function recording(status: number, definition = {}): Pick<Verb, 'prepare' | 'run'> {
  return {
    prepare: (store) => claimOne(store, aTask({ definition })),
    run: async (store) => finish(store, await mustGet(store, KEY), answered(status, DUE + 50, 'body'), DUE + 50),
  }
}

function acknowledging(status: 'successful' | 'failed' | 'running', retryable = true): Pick<Verb, 'prepare' | 'run'> {
  return {
    prepare: recording(200, ACK).prepare,
    run: async (store) => store.acknowledge(ackOf(await mustGet(store, KEY), { status, retryable, detail: 'why' })),
  }
}

const VERBS: readonly Verb[] = [
  { what: 'a new task', prepare: nothing, run: (store) => store.put([aTask()], { now: DUE }), kinds: ['created'] },
  {
    what: 'a task that takes the place of another',
    prepare: (store) => anEntry(store, 'failed'),
    run: (store) => store.put([aTask({ definition: { payload: 'new' } })], { now: DUE + 9 }),
    kinds: ['updated'],
  },
  { what: 'a claim', prepare: (store) => anEntry(store, 'pending'), run: (store) => claimAll(store), kinds: ['processing'] },
  {
    what: 'a claim of a worker',
    async prepare(store) {
      await putHandler(store, 'a-task', { pull: true })
      await store.put([aTaskWithoutCallback()], { now: DUE - 9 })
    },
    run: (store) => store.pull('a-task', { now: DUE, node: 'worker', leaseUntil: DUE + LEASE_MS, limit: 1 }),
    kinds: ['processing'],
  },
  { what: 'success', ...recording(200), kinds: ['completed'] },
  { what: 'a failure that is tried again', ...recording(503), kinds: ['retry'] },
  { what: 'a failure for good', ...recording(404), kinds: ['failed'] },
  { what: 'an accepted call', ...recording(200, ACK), kinds: ['updated'] },
  {
    what: 'a task that is handed back',
    prepare: (store) => anEntry(store, 'running'),
    run: async (store) => finish(store, await mustGet(store, KEY), { kind: 'not_called', reason: 'stopping' }, DUE + 50),
    kinds: ['updated'],
  },
  {
    what: 'a task that is handed back between two attempts',
    prepare: async (store) => claimAll(store, (await anEntry(store, 'retrying')).dueAt),
    run: async (store) => finish(store, await mustGet(store, KEY), { kind: 'not_called', reason: 'stopping' }, DUE + 900),
    kinds: ['updated'],
  },
  { what: 'a failure that an error callback tells of', ...recording(404, { error_callback: 'http://errors.test/' }), kinds: ['failed'] },
  {
    what: 'a task that was claimed too late',
    prepare: (store) => anEntry(store, 'running'),
    run: async (store) => finish(store, await mustGet(store, KEY), { kind: 'not_called', reason: 'late' }, DUE + 50),
    kinds: ['skipped'],
  },
  {
    what: 'the end of a window',
    prepare: (store) => anEntry(store, 'pending'),
    run: (store) => expireAll(store, DUE + 600_000),
    kinds: ['skipped'],
  },
  {
    what: 'the end of a window after an attempt',
    prepare: (store) => anEntry(store, 'retrying'),
    run: (store) => expireAll(store, DUE + 365 * 86_400_000),
    kinds: ['failed'],
  },
  {
    what: 'a rescue',
    prepare: (store) => anEntry(store, 'running'),
    run: (store) => store.rescue({ now: DUE + LEASE_MS, limit: 10 }),
    kinds: ['retry'],
  },
  {
    what: 'a rescue of what may not be called twice',
    prepare: (store) => anEntry(store, 'running', { definition: { delivery: 'at_most_once' } }),
    run: (store) => store.rescue({ now: DUE + 7, onlyNode: 'other', limit: 10 }),
    kinds: ['failed'],
  },
  { what: 'an acknowledged success', ...acknowledging('successful'), kinds: ['completed'] },
  { what: 'an acknowledged failure', ...acknowledging('failed'), kinds: ['retry'] },
  { what: 'an acknowledged failure for good', ...acknowledging('failed', false), kinds: ['failed'] },
  { what: 'an acknowledgement that prolongs', ...acknowledging('running'), kinds: ['updated'] },
  {
    what: 'an entry that a person has run',
    prepare: (store) => anEntry(store, 'pending'),
    run: (store) => store.run(KEY, { now: DUE - 5 }),
    kinds: ['updated'],
  },
  {
    what: 'an entry that a person has run again',
    prepare: (store) => anEntry(store, 'successful'),
    run: (store) => store.run(KEY, { now: DUE + 99 }),
    kinds: ['updated'],
  },
]

/** Writes that change no task. */
const SILENT: readonly (readonly [string, (store: Store, task: Task) => Promise<unknown>])[] = [
  ['a put of a running entry', (store) => store.put([aTask()], { now: DUE + 9 })],
  ['a put of an entry that must be new', (store) => store.put([aTask()], { now: DUE + 9, ifAbsent: true })],
  ['a put without a callback', (store) => store.put([aTaskWithoutCallback({ name: 'b' })], { now: DUE + 9 })],
  ['a put of nothing', (store) => store.put([], { now: DUE + 9 })],
  ['a late result', (store, task) => finish(store, { ...task, attempts: 9 }, answered(200, DUE + 9), DUE + 9)],
  ['a record of nothing', (store) => store.record([])],
  ['a claim that finds nothing', (store) => claimAll(store, DUE + 9)],
  ['a renewal', (store, task) => store.renew([task], { leaseUntil: DUE + 999_999 })],
  ['a rescue that finds nothing', (store) => store.rescue({ now: DUE + 9, limit: 10 })],
  ['an acknowledgement of another attempt', (store, task) => store.acknowledge(ackOf(task, { attempt: 9 }))],
  ['an acknowledgement that nobody expects', (store, task) => store.acknowledge(ackOf(task))],
  ['a run of a running entry', (store) => store.run(KEY, { now: DUE + 9 })],
  ['a removal that finds nothing', (store) => store.remove({}, { now: DUE + 9, limit: 10 })],
  ['a count', (store) => store.counts()],
  ['a handler', (store) => putHandler(store, 'a-task', { callback: 'http://handler.test/' })],
]

export default area('a change', (test) => {
  test('a store that holds nothing tells of nothing', async ({ store, reopen }) => {
    expect(await store.changes({ after: 0, limit: 10 })).toEqual({ changes: [], first: 0, last: 0 })
    expect(await (await reopen()).changes({ after: 7, limit: 10 })).toEqual({ changes: [], first: 0, last: 0 })
  })

  for (const { what, prepare, run, kinds } of VERBS) {
    test(`${what} is told as ${kinds.join(', ')}, with the task as it is from then on`, async ({ store, reopen }) => {
      await prepare(store)
      const changes = await told(store, () => run(store))
      const task = await mustGet(store, KEY)
      expect(changes).toEqual(kinds.map((kind, n) => ({ id: changes[n]?.id, kind, at: task.updated, task })))
      expect((await changesSince(await reopen())).slice(-kinds.length)).toEqual(changes)
    })
  }

  for (const [what, run] of SILENT) {
    test(`${what} is not told`, async ({ store }) => {
      const task = await anEntry(store, 'running')
      expect(await told(store, () => run(store, task))).toEqual([])
    })
  }

  test('a removal is told of each entry, as it was before', async ({ store }) => {
    const entries = [await anEntry(store, 'failed'), await anEntry(store, 'pending', { name: 'b' })]
    const changes = await told(store, () => store.remove({}, { now: DUE + 77, limit: 10 }))
    expect(changes.map(({ kind, at, task }) => ({ kind, at, task }))).toEqual(
      entries.map((task) => ({ kind: 'deleted', at: DUE + 77, task })),
    )
  })

  test('what retention removes is not told', async ({ store }) => {
    await anEntry(store, 'failed')
    expect(await told(store, () => store.prune({ before: DUE + 1, limit: 10 }))).toEqual([])
  })

  test('a waiting entry that moves is told as updated, under its new key', async ({ store }) => {
    await anEntry(store, 'pending')
    const changes = await told(store, () => rescheduleAll(store, { ...RESCHEDULE, all: true }))
    const task = await mustGet(store, { ...KEY, triggerAt: MINUTE + 600 })
    expect(task.rescheduledFrom).toBe(MINUTE)
    expect(changes).toMatchObject([{ kind: 'updated', at: DUE + 99, task }])
  })

  test('a copy of a final entry is told as created, and its original as updated', async ({ store }) => {
    await anEntry(store, 'failed')
    const changes = await told(store, () => rescheduleAll(store, { ...RESCHEDULE, all: false }))
    const [original, copy] = [await mustGet(store, KEY), await mustGet(store, { ...KEY, triggerAt: MINUTE + 600 })]
    expect(original.rescheduledTo).toBe(MINUTE + 600)
    expect(changes).toMatchObject([
      { kind: 'updated', at: DUE + 99, task: original },
      { kind: 'created', at: DUE + 99, task: copy },
    ])
  })

  test('a dry run is not told', async ({ store }) => {
    await anEntry(store, 'failed')
    expect(await told(store, () => rescheduleAll(store, { ...RESCHEDULE, all: true, dryRun: true }))).toEqual([])
  })

  test('a task is told with what its handler says', async ({ store }) => {
    const handler = await putHandler(store, 'a-task', { callback: 'http://handler.test/', retry: 7 })
    const changes = await told(store, () => store.put([aTaskWithoutCallback({ definition: { timeout: 3 } })], { now: DUE }))
    expect(changes).toMatchObject([{ task: { definition: { ...handler.definition, timeout: 3 }, host: 'handler.test' } }])
    expect(changes.map(({ task }) => task)).toEqual([await mustGet(store, KEY)])
  })

  test('the life of a task is told in its order', async ({ store }) => {
    const task = await claimOne(store)
    await finish(store, task, answered(503, DUE + 50), DUE + 50)
    const [again] = (await claimAll(store, DUE + 5000)) as [Task]
    await finish(store, again, answered(200, DUE + 5050), DUE + 5050)
    await store.remove({}, { now: DUE + 6000, limit: 1 })
    const changes = await changesSince(store)
    expect(changes.map(({ kind }) => kind)).toEqual(['created', 'processing', 'retry', 'processing', 'completed', 'deleted'])
    const states = ['pending', 'running', 'retrying', 'running', 'successful', 'successful']
    expect(changes.map(({ task: { state } }) => state)).toEqual(states)
    expect(changes.map(({ task: { attempts } }) => attempts)).toEqual([0, 1, 1, 2, 2, 2])
  })
})
