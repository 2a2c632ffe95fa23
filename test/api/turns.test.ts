/** Long work of many clients is done in turns, a bounded part of it at once. */
import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Turns } from '../../src/api/http/turns.ts'
import { inSlices } from '../../src/api/http/slices.ts'
import { elementsOf } from '../../src/wire/json-text.ts'
import type { Store } from '../../src/store/store.ts'
import { MINUTE, aTask } from '../support/a-task.ts'
import fc from '../support/fast-check.ts'
import { openApi } from '../support/open-api.ts'

const CLIENTS = 6

/** Counts how many verbs are under way at once. */
class Meter {
  most = 0
  #open = 0

  count<A extends unknown[], R>(verb: (...args: A) => Promise<R>): (...args: A) => Promise<R> {
    return async (...args) => {
      this.#open += 1
      this.most = Math.max(this.most, this.#open)
      // Whatever is under way at once meets here.
      for (let turn = 0; turn < 3; turn += 1) await setImmediate()
      return verb(...args).finally(() => (this.#open -= 1))
    }
  }
}

test('scans, lists, bulk writes, reschedules and removals of many clients come one after the other', async () => {
  const meter = new Meter()
  const api = await openApi((store: Store) => ({
    runs: meter.count((...args: Parameters<Store['runs']>) => store.runs(...args)),
    list: meter.count((...args: Parameters<Store['list']>) => store.list(...args)),
    put: meter.count((...args: Parameters<Store['put']>) => store.put(...args)),
    reschedule: meter.count((...args: Parameters<Store['reschedule']>) => store.reschedule(...args)),
    listHandlers: meter.count((...args: Parameters<Store['listHandlers']>) => store.listHandlers(...args)),
    remove: meter.count((...args: Parameters<Store['remove']>) => store.remove(...args)),
  }))
  await api.store.put(
    Array.from({ length: 500 }, (_, n) => aTask({ name: `t${n}` })),
    { now: MINUTE * 1000 - 60_000 },
  )
  const bulk = JSON.stringify([{ task_name: 'a', trigger_at: '+1h', callback: 'http://receiver.test/' }])
  const asks = Array.from({ length: CLIENTS }, (_, n) => [
    api.http.get('/lateness?from=0&to=2030-01-01T00:00:00Z'),
    api.http.get('/task/?limit=300'),
    api.http.get('/handler/'),
    api.http.post('/tasks').send(bulk),
    api.http.post('/reschedule/?all=true&dry_run=true&limit=300'),
    api.http.delete(`/task/?name=none${n}`),
  ])
  const statuses = (await Promise.all(asks.flat())).map(({ status }) => status)
  expect(new Set(statuses)).toEqual(new Set([200]))
  expect(meter.most).toBe(1)
  await api.close()
})

test('a large body is read slice by slice', async () => {
  const turns = new Turns()
  const take = turns.take.bind(turns)
  let [taken, read, most] = [0, 0, 0]
  turns.take = (work) => {
    taken += 1
    read = 0
    return take(work)
  }
  const body = JSON.stringify(Array.from({ length: 160 }, () => 'x'.repeat(100_000)))
  const lengths = await inSlices(elementsOf(body), turns, ({ length }) => {
    most = Math.max(most, (read += length))
    return length
  })
  expect(lengths).toHaveLength(160)
  expect(taken).toBeGreaterThanOrEqual(15)
  expect(most).toBeLessThan(2 ** 20 + 100_003)
})

test('the elements of an array are those that JSON has', () => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue()), fc.constantFrom(0, 2), (values, space) => {
      const text = JSON.stringify(values, null, space)
      expect([...elementsOf(text)].map((element) => JSON.parse(element) as unknown)).toEqual(JSON.parse(text))
    }),
  )
})
