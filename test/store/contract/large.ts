import { expect } from 'vitest'
import { PAGE_BYTES } from '../../../src/domain/task/page-size.ts'
import type { RescheduleCursor, Store } from '../../../src/store/store.ts'
import { aTask, aTaskWithoutCallback, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { aClaim, DUE, LEASE_MS, NODE, keysOf, listAll, putHandler } from './support/tasks.ts'

const PAYLOAD = 'x'.repeat(900 * 1024)
/** Tasks of a page; the last one may lie partly beyond the bytes of a page. */
const MOST = Math.ceil(PAGE_BYTES / PAYLOAD.length)
/** A claim looks at the size of a few tasks at once. */
const MOST_CLAIMED = MOST + 3
const TASKS = 9
/** So many tasks with 16 000 characters each are somewhat more than a page. */
const MORE_THAN_A_PAGE = Math.ceil((1.2 * PAGE_BYTES) / 16_000)
const NAMES = Array.from({ length: TASKS }, (_, n) => `n${String(n).padStart(2, '0')}`)

export default area('large definitions', (test) => {
  test('no page, batch or claim holds more than a few of them', async ({ store }) => {
    const tasks = NAMES.map((name) => aTask({ name, definition: { payload: PAYLOAD, max_delay: 10 } }))
    await store.put(tasks, { now: DUE - 1 })
    expect(await rounds(({ length }) => pageAfter(store, length === 0 ? undefined : NAMES[length - 1]), MOST)).toBe(TASKS)

    let after: RescheduleCursor | undefined
    const planned = []
    do {
      const request = { selection: {}, all: true, triggerAt: MINUTE + 600, now: DUE, dryRun: true, limit: 100 }
      const batch = await store.reschedule({ ...request, ...(after && { after }) })
      expect(batch.tasks.length).toBeLessThanOrEqual(MOST)
      planned.push(...batch.tasks)
      after = batch.next
    } while (after)
    expect(keysOf(planned).sort()).toEqual(NAMES.map((name) => `${name}@${MINUTE + 600}`))

    let claimed = 0
    for (;;) {
      const { tasks: some, nextDue } = await store.claimDue(aClaim())
      expect(some.length).toBeLessThanOrEqual(MOST_CLAIMED)
      claimed += some.length
      if (some.length === 0) break
      // The rest is due at once.
      if (claimed < TASKS) expect(nextDue).toBeLessThanOrEqual(DUE)
    }
    expect(claimed).toBe(TASKS)

    expect(await rounds(() => store.rescue({ now: DUE + LEASE_MS, limit: 100 }), MOST)).toBe(TASKS)
    const late = DUE + 600_000
    expect(await rounds(async () => (await store.expire({ now: late, limit: 100 })).tasks, MOST)).toBe(TASKS)
    expect(await listAll(store, { states: ['failed'] })).toHaveLength(TASKS)
    expect(await store.remove({}, { now: late, limit: 100 })).toBe(TASKS)
  })

  test('a worker gets as many as an answer holds, and the others next', async ({ store }) => {
    await putHandler(store, 'pulled', { pull: true })
    const tasks = NAMES.map((_, n) =>
      aTaskWithoutCallback({ name: 'pulled', triggerAt: MINUTE - n * 60, definition: { payload: PAYLOAD, max_delay: 60 } }),
    )
    await store.put(tasks, { now: DUE - 1 })
    const pull = async () => {
      const result = await store.pull('pulled', { now: DUE, node: NODE, leaseUntil: DUE + LEASE_MS, limit: 100 })
      return result === 'not_pulled' ? [] : result.tasks
    }
    expect(await rounds(pull, MOST)).toBe(TASKS)
  })

  test('a page of changes ends early', async ({ store }) => {
    const headers = Object.fromEntries(Array.from({ length: 4 }, (_, n) => [`x-${n}`, 'h'.repeat(4000)]))
    const tasks = Array.from({ length: MORE_THAN_A_PAGE }, (_, n) => aTask({ name: `h${n}`, definition: { headers } }))
    await store.put(tasks, { now: DUE })
    const { changes } = await store.changes({ after: 0, limit: 500 })
    expect(JSON.stringify(changes).length).toBeLessThan(PAGE_BYTES + 2 ** 18)
    const after = changes.at(-1)?.id ?? 0
    expect(changes.length + (await store.changes({ after, limit: 500 })).changes.length).toBe(MORE_THAN_A_PAGE)
  })
})

/** Takes until there is nothing more. @returns how much there was */
async function rounds<T>(take: (known: readonly T[]) => Promise<T[]>, most: number): Promise<number> {
  const all: T[] = []
  for (;;) {
    const some = await take(all)
    expect(some.length).toBeLessThanOrEqual(most)
    if (some.length === 0) return all.length
    all.push(...some)
  }
}

async function pageAfter(store: Store, name: string | undefined): ReturnType<typeof listAll> {
  const { tasks, more } = await store.list({}, { limit: 100, ...(name !== undefined && { after: { name, triggerAt: MINUTE } }) })
  expect(more).toBe(tasks.length > 0 && tasks.at(-1)?.name !== NAMES.at(-1))
  return tasks
}
