/** Connections that break at the worst moment: what was written is written once, and answered as what it was. */
import { describe, expect, onTestFinished, test } from 'vitest'
import type { PostgresStore } from '../../src/store/postgres/postgres-store.ts'
import type { Store } from '../../src/store/store.ts'
import { aTask, aTaskWithoutCallback, MINUTE } from '../support/a-task.ts'
import { startPostgresProxy } from '../support/postgres-proxy.ts'
import type { Break, PostgresProxy } from '../support/postgres-proxy.ts'
import { ackOf } from './contract/acknowledge.ts'
import { changesSince } from './contract/changes.ts'
import {
  aClaim,
  anEntry,
  answered,
  claimOne,
  DUE,
  expectCountsToAddUp,
  finish,
  LEASE_MS,
  mustGet,
  putHandler,
} from './contract/support/tasks.ts'
import { emptyDatabase, openNode } from './support/postgres-nodes.ts'

const KEY = { name: 'a-task', triggerAt: MINUTE }
/** As it stands in the packet. */
const COMMIT = 'COMMIT\0'
const WORKER = { now: DUE, node: 'node-1', leaseUntil: DUE + LEASE_MS, limit: 10 }
const LATER = DUE + 10 * LEASE_MS

/** A node that reaches its database through a proxy, and one that reaches it without. */
async function openBehindProxy(): Promise<{ store: PostgresStore; witness: PostgresStore; proxy: PostgresProxy }> {
  const database = await emptyDatabase()
  const proxy = await startPostgresProxy(database.url)
  onTestFinished(() => proxy.close())
  return { proxy, store: await openNode(proxy.url), witness: await openNode(database.url) }
}

/** A write, what it needs before it, what it answers and what it tells. */
interface Verb {
  readonly what: string
  prepare?(store: Store): Promise<unknown>
  write(store: Store): Promise<unknown>
  readonly answer: unknown
  readonly tells: readonly string[]
}

const put = (store: Store, ...names: string[]) =>
  store.put(
    names.map((name) => aTask({ name })),
    { now: DUE - 9 },
  )
const pulling = async (store: Store) => {
  await putHandler(store, 'a-task', { pull: true })
  await store.put([aTaskWithoutCallback()], { now: DUE - 9 })
}

const VERBS: readonly Verb[] = [
  {
    what: 'put',
    write: (store) => put(store, 'a', 'b'),
    answer: [{ status: 'created' }, { status: 'created' }],
    tells: ['created', 'created'],
  },
  {
    what: 'put of what was there',
    prepare: (store) => anEntry(store, 'failed'),
    write: (store) => put(store, 'a-task'),
    answer: [{ status: 'replaced' }],
    tells: ['updated'],
  },
  {
    what: 'claimDue',
    prepare: (store) => put(store, 'a', 'b'),
    write: (store) => store.claimDue(aClaim()),
    answer: {
      tasks: [
        { name: 'a', attempts: 1, state: 'running' },
        { name: 'b', attempts: 1, state: 'running' },
      ],
    },
    tells: ['processing', 'processing'],
  },
  {
    what: 'record',
    prepare: (store) => claimOne(store),
    write: async (store) => finish(store, await mustGet(store, KEY), answered(200, DUE + 5), DUE + 5),
    answer: true,
    tells: ['completed'],
  },
  {
    what: 'record of a call that is tried again',
    prepare: (store) => claimOne(store, aTask({ definition: { retry: 2 } })),
    write: async (store) => finish(store, await mustGet(store, KEY), answered(500, DUE + 5), DUE + 5),
    answer: true,
    tells: ['retry'],
  },
  {
    what: 'pull',
    prepare: pulling,
    write: (store) => store.pull('a-task', WORKER),
    answer: { tasks: [{ attempts: 1, state: 'running' }] },
    tells: ['processing'],
  },
  {
    what: 'acknowledge',
    prepare: async (store) => {
      await pulling(store)
      await store.pull('a-task', WORKER)
    },
    write: async (store) => store.acknowledge(ackOf(await mustGet(store, KEY))),
    answer: { status: 'acknowledged', task: { state: 'successful' } },
    tells: ['completed'],
  },
  {
    what: 'expire',
    prepare: (store) => put(store, 'a', 'b'),
    write: (store) => store.expire({ now: LATER, limit: 10 }),
    answer: { tasks: [{ state: 'skipped' }, { state: 'skipped' }], more: false },
    tells: ['skipped', 'skipped'],
  },
  {
    what: 'rescue',
    prepare: (store) => claimOne(store),
    write: (store) => store.rescue({ now: DUE + LEASE_MS, limit: 10 }),
    answer: [{ state: 'retrying', lost: 1 }],
    tells: ['retry'],
  },
  {
    what: 'run',
    prepare: (store) => anEntry(store, 'successful'),
    write: (store) => store.run(KEY, { now: DUE + 50 }),
    answer: { state: 'pending', dueAt: DUE + 50 },
    tells: ['updated'],
  },
  {
    what: 'reschedule',
    prepare: (store) => anEntry(store, 'failed'),
    write: (store) => store.reschedule({ selection: {}, all: false, triggerAt: MINUTE + 600, now: DUE, dryRun: false, limit: 10 }),
    answer: { tasks: [{ state: 'pending', triggerAt: MINUTE + 600 }] },
    tells: ['updated', 'created'],
  },
  {
    what: 'remove',
    prepare: (store) => put(store, 'a', 'b'),
    write: (store) => store.remove({}, { now: DUE, limit: 10 }),
    answer: 2,
    tells: ['deleted', 'deleted'],
  },
  {
    what: 'prune',
    prepare: (store) => anEntry(store, 'failed'),
    write: (store) => store.prune({ before: LATER, limit: 10 }),
    answer: 1,
    tells: [],
  },
  {
    what: 'putHandler',
    write: (store) => store.putHandler('a', { paused: true }, { now: DUE, force: false }),
    answer: { status: 'created' },
    tells: [],
  },
  {
    what: 'removeHandler',
    prepare: (store) => putHandler(store, 'a', {}),
    write: (store) => store.removeHandler('a', { force: false }),
    answer: 'removed',
    tells: [],
  },
]

const BREAKS: [string, Break][] = [
  ['before its COMMIT reached the database', { at: COMMIT, answer: 'never asked' }],
  ['as soon as its COMMIT had reached the database', { at: COMMIT, answer: 'not awaited' }],
  ['after its COMMIT, before the answer', { at: COMMIT, answer: 'swallowed' }],
  ['in the middle of its transaction', { at: 'callme.commits (stream', answer: 'swallowed' }],
]

/** Where the commit may have been done, each verb shows on its own that it was. */
const IN_DOUBT = 'swallowed'
const FEW = ['put', 'claimDue', 'record']

describe.each(BREAKS)('a connection that breaks %s', (_, where) => {
  test.each(VERBS.filter(({ what }) => (where.at === COMMIT && where.answer === IN_DOUBT) || FEW.includes(what)))(
    'leaves $what done once and answered right',
    async ({ prepare, write, answer, tells }) => {
      const { store, witness, proxy } = await openBehindProxy()
      await prepare?.(store)
      const before = (await changesSince(witness)).length
      await store.claimDue(aClaim({ limit: 0 }))
      const broken = proxy.breakNext(where)
      const answered = await write(store)
      await broken
      if (typeof answer === 'object') expect(answered).toMatchObject(answer as object)
      else expect(answered).toBe(answer)
      expect((await changesSince(witness)).slice(before).map(({ kind }) => kind)).toEqual(tells)
      // The next write has a number of its own in the stream of the node.
      expect(await put(store, 'next', 'next-but-one')).toMatchObject([{ status: 'created' }, { status: 'created' }])
      for (const opened of [store, witness]) await expectCountsToAddUp(opened)
    },
  )
})
