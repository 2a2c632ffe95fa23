import { expect } from 'vitest'
import { aTask } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { anEntry, DUE, listAll, seed } from './support/tasks.ts'

export default area('close', (test) => {
  test('waits for the writes under way, which are stored', async ({ store, reopen }) => {
    const writing = Array.from({ length: 50 }, (_, n) => store.put([aTask({ name: `n${n}` })], { now: DUE }))
    const reopened = await reopen()
    expect((await Promise.all(writing)).flat().map(({ status }) => status)).toEqual(Array<string>(50).fill('created'))
    expect(await listAll(reopened)).toHaveLength(50)
  })

  test('leaves every entry, attempt and count as it was', async ({ store, reopen }) => {
    await seed(
      store,
      (['pending', 'running', 'retrying', 'successful', 'failed', 'skipped'] as const).map((state) => ({ name: state, state })),
    )
    const task = await anEntry(store, 'failed')
    const [before, history, counts] = [await listAll(store), await store.history(task), await store.counts()]
    const reopened = await reopen()
    expect([await listAll(reopened), await reopened.history(task), await reopened.counts()]).toEqual([before, history, counts])
  })

  test('is followed by refusals: nothing hangs and nothing is stored', async ({ store, reopen }) => {
    const reopened = await reopen()
    await expect(store.put([aTask()], { now: DUE })).rejects.toThrow()
    await expect(store.get(aTask())).rejects.toThrow()
    await expect(store.list({}, { limit: 1 })).rejects.toThrow()
    await expect(store.counts()).rejects.toThrow()
    expect(await listAll(reopened)).toEqual([])
  })

  test('may be asked for twice', async ({ store, reopen }) => {
    const reopened = await reopen()
    await store.close()
    expect(await listAll(reopened)).toEqual([])
  })
})
