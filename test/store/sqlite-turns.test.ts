/** The scheduler's writes do not wait for those of clients, and no commit writes too much. */
import { expect, test } from 'vitest'
import { openSqliteStore } from '../../src/store/sqlite/open-sqlite-store.ts'
import { aTask } from '../support/a-task.ts'
import { PAGE_BYTES } from '../../src/domain/task/page-size.ts'
import { DUE, aClaim, putHandler } from './contract/support/tasks.ts'

test('a claim comes before the bulk writes that were asked for earlier, and each of these has a commit of its own', async () => {
  const store = openSqliteStore(':memory:')
  await store.put([aTask()], { now: DUE })
  let commits = 0
  store.onChange(() => (commits += 1))
  const order: string[] = []
  const bulk = (name: string, payload: string, count: number) => {
    const tasks = Array.from({ length: count }, (_, n) => aTask({ name: `${name}${n}`, definition: { payload } }))
    return store.put(tasks, { now: DUE }).then(() => order.push(name))
  }
  const writes = [bulk('many', '', 500), bulk('large', 'x'.repeat(2 ** 20), 1), bulk('others', '', 500)]
  await Promise.all([...writes, store.claimDue(aClaim({ limit: 1 })).then(({ tasks }) => order.push(`claim of ${tasks.length}`))])
  expect(order).toEqual(['claim of 1', 'many', 'large', 'others'])
  expect(commits).toBe(4)
  await store.close()
})

test('a page of large handlers ends early, and says that others follow', async () => {
  const store = openSqliteStore(':memory:')
  const count = Math.ceil((1.2 * PAGE_BYTES) / 16_000)
  const headers = Object.fromEntries(Array.from({ length: 4 }, (_, n) => [`x-${n}`, 'h'.repeat(4000)]))
  for (let n = 0; n < count; n += 1) await putHandler(store, `h${String(n).padStart(3, '0')}`, { headers })
  const first = await store.listHandlers({ limit: count })
  expect(first.more).toBe(true)
  expect(JSON.stringify(first.handlers).length).toBeLessThan(PAGE_BYTES * 1.1)
  const rest = await store.listHandlers({ limit: count, after: first.handlers.at(-1)?.name ?? '' })
  expect(rest.more).toBe(false)
  expect(first.handlers.length + rest.handlers.length).toBe(count)
  await store.close()
})
