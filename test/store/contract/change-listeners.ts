import { expect } from 'vitest'
import type { TaskChange } from '../../../src/domain/task/task-change.ts'
import type { Store } from '../../../src/store/store.ts'
import { aTask } from '../../support/a-task.ts'
import { changesSince } from './changes.ts'
import { area } from './support/area.ts'
import { claimAll, DUE, expireAll, finishAll, LEASE_MS } from './support/tasks.ts'

/** Counts how often a store tells that it has changed. */
class Listening {
  calls = 0
  readonly #unsubscribe: () => void

  constructor(store: Store) {
    this.#unsubscribe = store.onChange(() => {
      this.calls += 1
    })
  }

  stop(): number {
    this.#unsubscribe()
    return this.calls
  }
}

export default area('listeners', (test) => {
  test('a listener that is told can read what there is to tell', async ({ store }) => {
    const seen: Promise<string[]>[] = []
    const unsubscribe = store.onChange(() => seen.push(changesSince(store).then((changes) => changes.map(({ kind }) => kind))))
    const kinds = ['created', 'processing', 'retry']
    const writes = [
      () => store.put([aTask()], { now: DUE - 9 }),
      () => claimAll(store),
      () => store.rescue({ now: DUE + LEASE_MS, limit: 1 }),
    ]
    for (const [n, write] of writes.entries()) {
      await write()
      expect(await seen.at(-1)).toEqual(kinds.slice(0, n + 1))
      seen.length = 0
    }
    unsubscribe()
  })

  test('listeners are told each for itself, until they ask no more', async ({ store }) => {
    const [one, other] = [new Listening(store), new Listening(store)]
    await store.put([aTask()], { now: DUE - 9 })
    expect([one.calls > 0, other.calls > 0]).toEqual([true, true])
    const [before, otherBefore] = [one.stop(), other.calls]
    await claimAll(store)
    expect(one.stop()).toBe(before)
    const otherAfter = other.stop()
    expect(otherAfter).toBeGreaterThan(otherBefore)
    await store.rescue({ now: DUE + LEASE_MS, limit: 1 })
    expect([one.calls, other.calls]).toEqual([before, otherAfter])
  })

  test('listeners are told of a handler too, for waiting tasks may be due by it', async ({ store }) => {
    for (const change of [
      () => store.putHandler('a-task', { pull: true }, { now: DUE, force: false }),
      () => store.putHandler('a-task', { pull: true, paused: true }, { now: DUE, force: false }),
      () => store.removeHandler('a-task', { force: false }),
    ]) {
      const listening = new Listening(store)
      await change()
      expect(listening.stop()).toBeGreaterThan(0)
    }
    expect(await changesSince(store)).toEqual([])
  })

  test('a reader that starts where it stopped whenever it is told misses nothing and reads nothing twice', async ({ store }) => {
    const read: TaskChange[] = []
    let reading = Promise.resolve()
    const unsubscribe = store.onChange(() => {
      reading = reading.then(async () => void read.push(...(await changesSince(store, read.at(-1)?.id))))
    })
    await Promise.all(Array.from({ length: 150 }, (_, n) => store.put([aTask({ name: `n${n}` })], { now: DUE - 9 })))
    for (let n = 0; n < 3; n += 1) await finishAll(store, (await claimAll(store, DUE + n * 5000)).slice(n), DUE + n * 5000 + 50, 503)
    await expireAll(store, DUE + 600_000)
    unsubscribe()
    await reading
    expect(read.length).toBeGreaterThan(450)
    expect(read).toEqual(await changesSince(store))
  })
})
