/** Rows that cannot be read any more are set aside with the reason, and everything else goes on. */
import { expect } from 'vitest'
import { aTask, aTaskWithoutCallback, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { runSql } from './support/raw-sql.ts'
import { claimAll, claimOne, DUE, expireAll, finishAll, LEASE_MS, listAll, mustGet, putHandler, rescheduleAll } from './support/tasks.ts'

const REASONS = {
  '{"callback"': 'it is not valid JSON',
  null: 'it is not a JSON object',
  '["http://a.test"]': 'it is not a JSON object',
  '{"callback":"somewhere","repeat":"* * * * *"}': 'its callback is not a URL',
  '{"callback":"http://a.test","headers":null}': 'its headers is not an object of texts',
  '{"callback":"http://a.test","retry":"often","repeat":7}': 'its retry is not a whole number',
  '{"callback":"http://a.test","payload":"{","payload_is_json":true}': 'its payload is not valid JSON',
  '{"callback":"http://a.test","max_delay":1e300}': 'its max_delay is not a whole number',
}
const UNREADABLE = expect.stringContaining('the stored definition cannot be read: it is not valid JSON') as string
const damage = `UPDATE tasks SET definition = '{"callback"' WHERE name = 'damaged'`
const aDamaged = () => aTask({ name: 'damaged' })

export default area('a row that cannot be read', (test) => {
  test('ends as failed with the reason when it is due, and everything else goes on', async (opened) => {
    const { store } = opened
    const texts = Object.keys(REASONS)
    await store.put([aTask(), ...texts.map((_, index) => aTask({ name: `damaged-${index}` }))], { now: DUE - 9 })
    for (const [index, text] of texts.entries())
      await runSql(opened, `UPDATE tasks SET definition = '${text}' WHERE name = 'damaged-${index}'`)
    const shown = (state: string) =>
      Object.values(REASONS).map((why, index) => ({
        ...{ name: `damaged-${index}`, state, error: expect.stringContaining(`the stored definition cannot be read: ${why}`) as string },
      }))
    expect(await listAll(store)).toMatchObject([{ name: 'a-task', state: 'pending', error: null }, ...shown('pending')])
    expect(await claimAll(store)).toMatchObject([{ name: 'a-task' }])
    expect(await listAll(store, { states: ['failed'] })).toMatchObject(shown('failed').map((task) => ({ ...task, attempts: 0 })))
    expect(await store.counts()).toMatchObject({ running: 1, failed: texts.length })
    const { changes } = await store.changes({ after: 0, limit: 100 })
    expect(changes.filter(({ kind }) => kind === 'failed')).toHaveLength(texts.length)
    await rescheduleAll(store, { selection: {}, all: true, triggerAt: MINUTE + 60, now: DUE, dryRun: false, limit: 3 })
    expect(await claimAll(store, DUE + 60_000)).toEqual([])
    expect(await store.remove({}, { now: DUE, limit: 100, continueSeries: true })).toBe(2 * texts.length)
  })

  test('can be run again, replaced and ended as any other', async (opened) => {
    const { store } = opened
    await store.put([aDamaged()], { now: DUE - 9 })
    await runSql(opened, damage)
    expect(await expireAll(store, DUE + 600_000)).toMatchObject([{ state: 'skipped', error: UNREADABLE }])
    expect(await store.run(aDamaged(), { now: DUE })).toMatchObject({ state: 'pending', error: UNREADABLE })
    expect(await claimAll(store)).toEqual([])
    expect(await store.put([aDamaged()], { now: DUE })).toMatchObject([{ status: 'replaced' }])
    expect(await claimAll(store)).toMatchObject([{ name: 'damaged', error: null }])
  })

  test('is not called again where its call was lost, and its result is taken where it was not', async (opened) => {
    const { store } = opened
    const lost = await claimOne(store, aDamaged())
    const done = await claimOne(store)
    await runSql(opened, `UPDATE tasks SET definition = '{"callback"'`)
    await finishAll(store, [done], DUE)
    await store.renew([lost], { leaseUntil: DUE + LEASE_MS })
    const now = DUE + 2 * LEASE_MS
    expect(await store.rescue({ now, limit: 10 })).toMatchObject([{ name: 'damaged', state: 'failed' }])
    expect(await mustGet(store, done)).toMatchObject({ state: 'successful', error: UNREADABLE })
    expect(await store.history(lost)).toMatchObject([{ outcome: 'failed', attemptsLeft: 0 }])
    expect(await store.prune({ before: now + 1, limit: 10 })).toBeGreaterThan(0)
  })

  test('is moved by the backfill of its handler', async (opened) => {
    const { store } = opened
    await store.put([aDamaged()], { now: DUE - 9 })
    await runSql(opened, damage)
    await putHandler(store, 'damaged', { callback: 'http://handler.test/', max_delay: 7 })
    expect(await mustGet(store, aDamaged())).toMatchObject({ deadline: aDamaged().deadline, error: UNREADABLE })
    expect(await claimAll(store)).toEqual([])
    expect(await mustGet(store, aDamaged())).toMatchObject({ state: 'failed', error: UNREADABLE })
  })

  test('of a handler lets its tasks wait, and says so, until it is stored again', async (opened) => {
    const { store, reopen } = opened
    const definition = { callback: 'http://handler.test/', delivery: 'at_most_once', pull: false } as const
    await putHandler(store, 'a-task', definition)
    const lost = aTaskWithoutCallback({ triggerAt: MINUTE - 60 })
    await store.put([lost], { now: DUE - 9 })
    expect(await claimAll(store)).toHaveLength(1)
    await store.put([aTask(), aTask({ name: 'other' })], { now: DUE - 9 })
    await runSql(opened, `UPDATE handlers SET definition = '{"pa' WHERE name = 'a-task'`)
    const reopened = await reopen()
    expect(await reopened.getHandler('a-task')).toMatchObject({ name: 'a-task', unreadable: UNREADABLE })
    expect(await reopened.listHandlers({ limit: 10 })).toMatchObject({ handlers: [{ unreadable: UNREADABLE }] })
    expect(await claimAll(reopened)).toMatchObject([{ name: 'other' }])
    expect(await reopened.pull('a-task', { now: DUE, node: 'w', leaseUntil: DUE + 9, limit: 1 })).toEqual({ tasks: [] })
    expect(await mustGet(reopened, aTask())).toMatchObject({ state: 'pending', error: UNREADABLE })
    expect(await reopened.put([aTaskWithoutCallback({ triggerAt: MINUTE + 60 })], { now: DUE })).toMatchObject([{ status: 'created' }])
    // Its call was not to be made twice. Nobody can know that now, so it is not.
    const rescued = await reopened.rescue({ now: DUE + 2 * LEASE_MS, limit: 10 })
    expect(rescued.find(({ triggerAt }) => triggerAt === lost.triggerAt)).toMatchObject({ state: 'failed' })
    await putHandler(reopened, 'a-task', definition)
    expect(await claimAll(reopened, DUE + 60_000)).toMatchObject([{ error: null }, { error: null }])
  })

  test('of changes leaves out these alone, and notes of a commit cost nothing', async (opened) => {
    const { store, reopen, where } = opened
    for (const name of ['a', 'b', 'c']) await store.put([aTask({ name })], { now: DUE - 9 })
    const { changes } = await store.changes({ after: 0, limit: 100 })
    const [, lost] = changes.map(({ id }) => id)
    await runSql(opened, `UPDATE changes SET batch = '[{"kind"' WHERE batch LIKE '%"name":"b"%'`)
    const [read, skipped] = [await store.changes({ after: 0, limit: 100 }), await store.changes({ after: lost ?? 0, limit: 1 })]
    expect(read).toMatchObject({ changes: [{ task: { name: 'a' } }, { task: { name: 'c' } }], lost: [{ id: lost, first: lost }] })
    expect(skipped.changes).toMatchObject([{ task: { name: 'c' } }])
    if (where.kind === 'postgres') await runSql(opened, `UPDATE commits SET signals = '{"lanes":' WHERE signals IS NOT NULL`)
    expect(await claimAll(await reopen())).toHaveLength(3)
  })
})
