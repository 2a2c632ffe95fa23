/** How the changes of one large commit are read. */
import { expect, inject } from 'vitest'
import { aTask } from '../../support/a-task.ts'
import { changesSince } from './changes.ts'
import { area } from './support/area.ts'
import { DUE } from './support/tasks.ts'

/** At night a page begins at every position. */
const STRIDE = inject('isNightly') ? 1 : 7
const PAYLOAD = 'x'.repeat(4000)

export default area('changes of a large commit', (test) => {
  test('a page of a large commit holds about as many as are asked for, and nothing is lost at any position', async ({ store, reopen }) => {
    await store.put([aTask({ name: 'before' })], { now: DUE })
    const names = Array.from({ length: 1000 }, (_, n) => `n${n}`)
    await store.put(
      names.map((name) => aTask({ name, definition: { payload: PAYLOAD } })),
      { now: DUE },
    )
    await store.put([aTask({ name: 'after' })], { now: DUE })
    const opened = await reopen()
    const { changes: few, first, last } = await opened.changes({ after: 0, limit: 10 })
    expect(few.length).toBeGreaterThanOrEqual(10)
    expect(few.length).toBeLessThan(60)
    const all = await changesSince(opened)
    expect(all.map(({ task }) => task.name)).toEqual(['before', ...names, 'after'])
    expect(all.map(({ id }) => id)).toEqual(all.map((_, n) => first + n))
    expect(all.at(-1)?.id).toBe(last)
    expect(all.filter(({ task }) => task.definition.payload === PAYLOAD)).toHaveLength(1000)
    for (let n = 0; n < all.length; n += STRIDE) {
      const { changes } = await opened.changes({ after: first + n - 1, limit: 10 })
      expect(changes.length).toBeGreaterThanOrEqual(Math.min(10, all.length - n))
      expect(changes.length).toBeLessThan(60)
      expect(changes.map(({ id }) => id)).toEqual(changes.map((_, k) => first + n + k))
      expect(changes[0]).toEqual(all[n])
    }
  })

  test('ids stay dense where the next commit follows a large one in the same moment', async ({ store }) => {
    const writes = Array.from({ length: 150 }, (_, n) =>
      store.put([aTask({ name: `one-${n}`, definition: { payload: PAYLOAD } }), aTask({ name: `two-${n}` })], { now: DUE }),
    )
    await Promise.all(writes)
    const all = await changesSince(store)
    expect(all.map(({ id }) => id)).toEqual(all.map((_, n) => (all[0]?.id ?? 0) + n))
    expect(all.map(({ task }) => task.name)).toEqual(Array.from({ length: 150 }, (_, n) => [`one-${n}`, `two-${n}`]).flat())
  })
})
