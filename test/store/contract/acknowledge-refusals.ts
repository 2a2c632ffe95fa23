import { expect } from 'vitest'
import type { Task } from '../../../src/domain/task/task.ts'
import type { Acknowledgement, AckResult, Store } from '../../../src/store/store.ts'
import { aTask, MINUTE } from '../../support/a-task.ts'
import { accepted, ACCEPTED, ACK_MS, ackOf } from './acknowledge.ts'
import { area } from './support/area.ts'
import { anEntry, answered, claimAll, DUE, finish, listAll, mustGet } from './support/tasks.ts'

export default area('a refused acknowledgement', (test) => {
  test('of an earlier attempt, or of one that is not there yet, changes nothing', async ({ store }) => {
    const { dueAt } = await anEntry(store, 'retrying', { definition: { ack_timeout: 5 } })
    const [second] = (await claimAll(store, dueAt)) as [Task]
    await finish(store, second, answered(200, dueAt + 50), dueAt + 50)
    for (const attempt of [1, 3, 0]) await expectRefused(store, { attempt, now: dueAt + 99 }, 'other_attempt')
    expect(await store.acknowledge(ackOf(second, { now: dueAt + 99 }))).toMatchObject({ status: 'acknowledged' })
  })

  test('of another run changes nothing, and of the named run it counts', async ({ store }) => {
    const task = await accepted(store)
    await expectRefused(store, { runId: '00000000-0000-4000-8000-000000000000' }, 'other_run')
    expect(await store.acknowledge(ackOf(task, { runId: task.runId }))).toMatchObject({ status: 'acknowledged' })
  })

  test('of a run before the present one changes nothing', async ({ store }) => {
    const first = await accepted(store)
    await store.acknowledge(ackOf(first))
    await store.run(first, { now: DUE + 10_000 })
    const [again] = (await claimAll(store, DUE + 10_000)) as [Task]
    await finish(store, again, answered(200, DUE + 10_050), DUE + 10_050)
    await expectRefused(store, { runId: first.runId, now: DUE + 10_060 }, 'other_run')
  })

  for (const state of ['pending', 'retrying', 'successful', 'failed', 'skipped'] as const) {
    test(`of an entry that is ${state} changes nothing`, async ({ store }) => {
      // With an ack_timeout the answer of a call alone makes nothing successful.
      await anEntry(store, state, { definition: state === 'successful' ? {} : { ack_timeout: 5 } })
      for (const attempt of [0, 1, 2]) await expectRefused(store, { attempt }, 'not_running')
    })
  }

  test('of a task whose answer is all that counts is not expected', async ({ store }) => {
    await anEntry(store, 'running')
    await expectRefused(store, {}, 'unexpected')
  })

  test('of an unknown entry answers so', async ({ store }) => {
    const task = await accepted(store)
    for (const key of [
      { name: 'other', triggerAt: MINUTE },
      { name: 'a-task', triggerAt: MINUTE + 60 },
    ]) {
      expect(await store.acknowledge({ ...ackOf(task), key })).toEqual({ status: 'unknown' })
    }
    expect(await listAll(store)).toEqual([task])
  })

  test('of twenty that race one wins, and the others find the entry as that one left it', async ({ store, reopen }) => {
    const task = await accepted(store)
    const acks = Array.from({ length: 20 }, (_, n) =>
      store.acknowledge(ackOf(task, { status: n % 2 === 0 ? 'failed' : 'successful', detail: `n${n}`, now: DUE + 9000 + n })),
    )
    const results = (await Promise.all(acks)) as Exclude<AckResult, { status: 'unknown' }>[]
    expect(results.map(({ status }) => status).sort()).toEqual(['acknowledged', ...Array<string>(19).fill('not_running')])
    const winner = results.find(({ status }) => status === 'acknowledged')?.task
    for (const result of results) expect(result.task).toEqual(winner)
    const opened = await reopen()
    expect(await mustGet(opened, task)).toEqual(winner)
    expect(await opened.history(task)).toHaveLength(1)
  })

  test('racing the end of its time, either the acknowledgement counts or the silence does', async ({ store }) => {
    for (const isAckFirst of [true, false]) {
      await store.remove({}, { now: DUE, limit: 10 })
      const task = await accepted(store)
      const now = ACCEPTED + ACK_MS
      const writes = [() => store.acknowledge(ackOf(task, { now })), () => store.rescue({ now, limit: 10 })]
      await Promise.all((isAckFirst ? writes : writes.reverse()).map((write) => write()))
      expect((await mustGet(store, task)).state).toBe(isAckFirst ? 'successful' : 'retrying')
      expect(await store.history(task)).toHaveLength(1)
    }
  })
})

/** Answers `refusal` with the entry as it is, and leaves entry and history so. */
async function expectRefused(store: Store, fields: Partial<Acknowledgement>, refusal: AckResult['status']): Promise<void> {
  const [before, history] = [await mustGet(store, aTask()), await store.history(aTask())]
  for (const status of ['successful', 'failed', 'running'] as const) {
    expect(await store.acknowledge(ackOf(before, { status, ...fields }))).toEqual({ status: refusal, task: before })
  }
  expect(await mustGet(store, aTask())).toEqual(before)
  expect(await store.history(aTask())).toEqual(history)
}
