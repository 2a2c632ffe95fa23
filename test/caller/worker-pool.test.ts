/** The pool of worker threads: every call gets exactly one result, whatever becomes of its thread. */
import type { ServerResponse } from 'node:http'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Caller } from '../../src/caller/caller.ts'
import { createWorkerPool } from '../../src/caller/worker-pool.ts'
import type { WorkerPoolOptions } from '../../src/caller/worker-pool.ts'
import { newClockOffset, systemClock } from '../../src/clock.ts'
import { newLease } from '../../src/lease.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { aCall } from '../support/a-call.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { startReceiver } from '../support/receiver.ts'
import type { Receiver } from '../support/receiver.ts'

/** Of these, a thread with so small a heap can hold a few, and dies of all of them together. */
const SMALL_HEAP_MB = 24
const DEADLY = Array.from({ length: 64 }, () => 'x'.repeat(1_000_000))

const cleanups: (() => Promise<void>)[] = []
const NOT_CALLED = { kind: 'not_called', reason: 'stopping' }
let lines: Record<string, unknown>[] = []

afterEach(async () => {
  await Promise.all(cleanups.splice(0).map((cleanup) => cleanup()))
  lines = []
  vi.unstubAllEnvs()
})

function startPool(options: Partial<WorkerPoolOptions> = {}): Caller {
  const log = createLog('debug', { write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) })
  const pool = createWorkerPool({
    workers: 1,
    concurrency: 8,
    clock: systemClock,
    clockOffset: newClockOffset(),
    lease: newLease(),
    log,
    ...options,
  })
  cleanups.push(() => pool.stop(0))
  return pool
}

/** A receiver that answers at once, but for `/held`: these answers are given by `release`. */
async function aReceiver(): Promise<Receiver & { readonly held: ServerResponse[]; readonly release: () => void }> {
  const receiver = await startReceiver((response, { url }) => response.end(`you asked for ${url}`))
  cleanups.push(() => receiver.close())
  const held: ServerResponse[] = []
  receiver.answer('/held', (response) => held.push(response))
  return { ...receiver, held, release: () => held.shift()?.end('released') }
}

/** Kills the thread of a pool that has only one, by what people could send. */
async function killThread(pool: Caller, url: string): Promise<void> {
  const results = await Promise.all(DEADLY.map((body) => pool.call(aCall({ url, method: 'POST', body }))))
  expect(results).toEqual(DEADLY.map(() => NOT_CALLED))
}

describe('calls', () => {
  it('each get their own result, over several threads', async () => {
    const { url } = await aReceiver()
    const pool = startPool({ workers: 2 })
    const paths = Array.from({ length: 500 }, (_, index) => `/${index}`)
    const results = await Promise.all(paths.map((path) => pool.call(aCall({ url: url + path }))))
    expect(results.map((result) => result.kind === 'answered' && result.body)).toEqual(paths.map((path) => `you asked for ${path}`))
  })

  it('carry payload and headers to the receiver and what it says back', async () => {
    const receiver = await aReceiver()
    receiver.answer('/busy', { status: 503, headers: { 'retry-after': '7' }, body: 'not now' })
    const request = aCall({ url: `${receiver.url}/busy`, method: 'POST', body: '{"ä":1}', headers: { 'callme-attempt': '2' } })
    const result = await startPool().call(request)
    expect(result).toMatchObject({ kind: 'answered', status: 503, body: 'not now', retryAfter: '7' })
    expect(receiver.requests).toMatchObject([{ method: 'POST', url: '/busy', body: '{"ä":1}', headers: { 'callme-attempt': '2' } }])
  })

  it.each([
    { workers: 1, concurrency: 3 },
    { workers: 2, concurrency: 3 },
    { workers: 2, concurrency: 1 },
  ])('are limited over all threads: %o', async ({ workers, concurrency }) => {
    const receiver = await aReceiver()
    let most = 0
    receiver.answer('/held', (response) => (most = Math.max(most, receiver.held.push(response))))
    const pool = startPool({ workers, concurrency })
    const calls = new Set<Promise<unknown>>()
    for (let count = 0; count < 10; count += 1) {
      const call = pool.call(aCall({ url: `${receiver.url}/held` })).finally(() => calls.delete(call))
      calls.add(call)
    }
    await receiver.waitFor(concurrency)
    while (calls.size > 0) {
      await receiver.waitFor(10 - calls.size + 1)
      receiver.release()
      await Promise.race(calls)
    }
    expect(most).toBe(concurrency)
  })

  it('are given to the thread with the fewest', async () => {
    const receiver = await aReceiver()
    const pool = startPool({ workers: 2, concurrency: 2 })
    const held = pool.call(aCall({ url: `${receiver.url}/held` }))
    await receiver.waitFor(1)
    for (const path of ['/a', '/b', '/c']) await pool.call(aCall({ url: receiver.url + path }))
    expect(receiver.requests.map(({ url }) => url)).toEqual(['/held', '/a', '/b', '/c'])
    receiver.release()
    await expect(held).resolves.toMatchObject({ body: 'released' })
  })

  it('go straight to the receiver, whatever the environment says of proxies', async () => {
    vi.stubEnv('NODE_USE_ENV_PROXY', '1')
    vi.stubEnv('HTTP_PROXY', 'http://127.0.0.1:9')
    vi.stubEnv('http_proxy', 'http://127.0.0.1:9')
    const { url } = await aReceiver()
    await expect(startPool().call(aCall({ url }))).resolves.toMatchObject({ kind: 'answered' })
  })
})

describe('a clock that is ahead of the system by an offset', () => {
  const DAY_MS = 86_400_000

  it('is what calls are timed by and refused by as late, as far as it is ahead at that moment', async () => {
    const { url } = await aReceiver()
    const clockOffset = newClockOffset()
    const pool = startPool({ clockOffset })
    const deadline = Date.now() + DAY_MS / 2
    for (const [offset, isLate] of [
      [0, false],
      [DAY_MS, true],
      [-DAY_MS, false],
    ] as const) {
      Atomics.store(clockOffset, 0, BigInt(offset))
      const before = Date.now() + offset
      const result = await pool.call(aCall({ url, deadline }))
      if (isLate) expect(result).toEqual({ kind: 'not_called', reason: 'late' })
      else if (result.kind !== 'answered') expect.fail(result.kind)
      else {
        expect(result.startedAt).toBeGreaterThanOrEqual(before)
        expect(result.endedAt).toBeLessThanOrEqual(Date.now() + offset)
      }
    }
  })
})

describe('a thread that dies', () => {
  it('loses the calls that it had started, hands back those that waited, and is replaced each time', async () => {
    const receiver = await aReceiver()
    const pool = startPool({ concurrency: 1, maxHeapMb: SMALL_HEAP_MB })
    for (let death = 1; death <= 2; death += 1) {
      const before = Date.now()
      const started = pool.call(aCall({ url: `${receiver.url}/held` }))
      await receiver.waitFor(2 * death - 1)
      await killThread(pool, receiver.url)
      const lost = await started
      expect(lost).toMatchObject({
        kind: 'lost',
        error: 'the worker thread died while the call was under way; it is not known whether it was made',
      })
      if (lost.kind === 'lost') expect([before, lost.startedAt, lost.endedAt]).toEqual([before, lost.startedAt, lost.endedAt].toSorted())
      expect(lines).toHaveLength(death)
      expect(lines.at(-1)).toMatchObject({
        level: 'warn',
        event: 'worker.died',
        calls: 1 + DEADLY.length,
        err: { code: 'ERR_WORKER_OUT_OF_MEMORY' },
      })
      await expect(pool.call(aCall({ url: `${receiver.url}/after` }))).resolves.toMatchObject({
        kind: 'answered',
        body: 'you asked for /after',
      })
    }
    expect(receiver.requests.map(({ url }) => url)).toEqual(['/held', '/after', '/held', '/after'])
  })

  it('takes nothing from the other one, which gets every call until the replacement is there', async () => {
    const receiver = await aReceiver()
    const pool = startPool({ workers: 2, maxHeapMb: SMALL_HEAP_MB, clock: new FakeClock('2027-01-15T08:00:00Z') })
    const pairs = DEADLY.map((body) => {
      // Calls of one turn go to the two threads by turns.
      const deadly = pool.call(aCall({ url: receiver.url, method: 'POST', body }))
      return { deadly, harmless: pool.call(aCall({ url: receiver.url })) }
    })
    expect(await Promise.all(pairs.map(({ deadly }) => deadly))).toEqual(DEADLY.map(() => NOT_CALLED))
    expect(await Promise.all(pairs.map(({ harmless }) => harmless))).toMatchObject(DEADLY.map(() => ({ kind: 'answered' })))
    const after = await Promise.all(DEADLY.map(() => pool.call(aCall({ url: receiver.url }))))
    expect(after).toMatchObject(DEADLY.map(() => ({ kind: 'answered' })))
    expect(lines).toMatchObject([{ event: 'worker.died' }])
  })

  it('is replaced only after a pause, for which calls wait', async () => {
    const receiver = await aReceiver()
    const clock = new FakeClock('2027-01-15T08:00:00Z')
    const pool = startPool({ maxHeapMb: SMALL_HEAP_MB, clock })
    await killThread(pool, receiver.url)
    expect(clock.timers).toBe(1)
    const waiting = pool.call(aCall({ url: receiver.url }))
    await clock.advance(250)
    await expect(waiting).resolves.toMatchObject({ kind: 'answered' })
  })
})

describe('stop', () => {
  it('lets calls under way end, starts none that waits, and takes no other', async () => {
    const receiver = await aReceiver()
    const pool = startPool({ concurrency: 1 })
    const [underWay, waiting] = [pool.call(aCall({ url: `${receiver.url}/held` })), pool.call(aCall({ url: `${receiver.url}/waiting` }))]
    await receiver.waitFor(1)
    const unsent = pool.call(aCall({ url: `${receiver.url}/unsent` }))
    const stopped = pool.stop(60_000)
    expect(await Promise.all([waiting, unsent, pool.call(aCall({ url: `${receiver.url}/late` }))])).toEqual([
      NOT_CALLED,
      NOT_CALLED,
      NOT_CALLED,
    ])
    receiver.release()
    await expect(underWay).resolves.toMatchObject({ kind: 'answered', body: 'released' })
    await stopped
    expect(receiver.requests.map(({ url }) => url)).toEqual(['/held'])
  })

  it('cuts off what is still under way after the grace', async () => {
    const receiver = await aReceiver()
    const clock = new FakeClock('2027-01-15T08:00:00Z')
    const pool = startPool({ clock })
    const underWay = pool.call(aCall({ url: `${receiver.url}/held` }))
    await receiver.waitFor(1)
    const cut = new Promise((resolve) => receiver.held[0]?.once('close', resolve))
    const stopped = pool.stop(20_000)
    await clock.advance(20_000)
    await expect(underWay).resolves.toEqual({
      kind: 'lost',
      startedAt: clock.now() - 20_000,
      endedAt: clock.now(),
      error: 'the node stopped while the call was under way; it is not known how it ended',
    })
    await Promise.all([stopped, cut])
    expect(clock.timers).toBe(0)
  })

  it('waits for no grace where nothing is under way', async () => {
    const clock = new FakeClock('2027-01-15T08:00:00Z')
    await startPool({ clock }).stop(60_000)
    expect(clock.timers).toBe(0)
  })

  it('hands back the calls that wait for a thread to be replaced', async () => {
    const receiver = await aReceiver()
    const clock = new FakeClock('2027-01-15T08:00:00Z')
    const pool = startPool({ maxHeapMb: SMALL_HEAP_MB, clock })
    await killThread(pool, receiver.url)
    const waiting = pool.call(aCall({ url: receiver.url }))
    await pool.stop(60_000)
    await expect(waiting).resolves.toEqual(NOT_CALLED)
    expect(clock.timers).toBe(0)
  })
})
