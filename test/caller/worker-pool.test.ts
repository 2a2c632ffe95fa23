/** The pool of worker threads: every call gets exactly one result, whatever becomes of its thread. */
import type { ServerResponse } from 'node:http'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Caller } from '../../src/caller/caller.ts'
import { createWorkerPool } from '../../src/caller/worker-pool.ts'
import type { WorkerPoolOptions } from '../../src/caller/worker-pool.ts'
import { systemClock } from '../../src/clock.ts'
import { createLog } from '../../src/log.ts'
import { aCall } from '../support/a-call.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { startReceiver } from '../support/receiver.ts'
import type { Receiver } from '../support/receiver.ts'

const cleanups: (() => Promise<void>)[] = []
let lines: Record<string, unknown>[] = []

afterEach(async () => {
  await Promise.all(cleanups.splice(0).map((cleanup) => cleanup()))
  lines = []
  vi.unstubAllEnvs()
})

function startPool(options: Partial<WorkerPoolOptions> = {}): Caller {
  const log = createLog('debug', { write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) })
  const pool = createWorkerPool({ workers: 1, concurrency: 8, clock: systemClock, log, ...options })
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
    const pool = startPool({ workers, concurrency })
    const calls = Array.from({ length: 10 }, () => pool.call(aCall({ url: `${receiver.url}/held` })))
    for (let ended = 0; ended < calls.length; ended += 1) {
      await receiver.waitFor(Math.min(calls.length, ended + concurrency))
      expect(receiver.held).toHaveLength(Math.min(calls.length - ended, concurrency))
      receiver.release()
      await Promise.race(calls.splice(0, 0, ...[]).concat(calls))
    }
    await expect(Promise.all(calls)).resolves.toHaveLength(10)
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

describe('a thread that dies', () => {
  /** More than the heap of a thread with 24 MB can hold. */
  const LARGE = 'x'.repeat(8_000_000)
  const DEADLY_COUNT = 8

  async function killThread(pool: Caller, url: string): Promise<string[]> {
    const results = await Promise.all(Array.from({ length: DEADLY_COUNT }, () => pool.call(aCall({ url, method: 'POST', body: LARGE }))))
    return results.map(({ kind }) => kind)
  }

  it('loses the calls that it had started, hands back those that waited, and is replaced each time', async () => {
    const receiver = await aReceiver()
    const pool = startPool({ concurrency: 1, maxHeapMb: 24 })
    for (let death = 1; death <= 2; death += 1) {
      const before = Date.now()
      const started = pool.call(aCall({ url: `${receiver.url}/held` }))
      await receiver.waitFor(2 * death - 1)
      expect(await killThread(pool, receiver.url)).toEqual(Array(DEADLY_COUNT).fill('not_called'))
      const lost = await started
      expect(lost).toMatchObject({
        kind: 'lost',
        error: 'the worker thread died while the call was under way; it is not known whether it was made',
      })
      if (lost.kind === 'lost') expect([before, lost.startedAt, lost.endedAt]).toEqual([before, lost.startedAt, lost.endedAt].toSorted())
      expect(lines).toHaveLength(death)
      expect(lines.at(-1)).toMatchObject({ level: 'warn', event: 'worker.died', calls: 1 + DEADLY_COUNT, err: { code: 'ERR_WORKER_OUT_OF_MEMORY' } })
      await expect(pool.call(aCall({ url: `${receiver.url}/after` }))).resolves.toMatchObject({ kind: 'answered', body: 'you asked for /after' })
    }
    expect(receiver.requests.map(({ url }) => url)).toEqual(['/held', '/after', '/held', '/after'])
  })

  it('takes nothing from the other thread, which gets the calls meanwhile', async () => {
    const receiver = await aReceiver()
    const clock = new FakeClock('2027-01-15T08:00:00Z')
    const pool = startPool({ workers: 2, concurrency: 2, maxHeapMb: 24, clock })
    const [first, second] = [pool.call(aCall({ url: `${receiver.url}/held` })), pool.call(aCall({ url: `${receiver.url}/held` }))]
    await receiver.waitFor(2)
    await pool.call(aCall({ url, method: 'POST', body: LARGE }))
    receiver.release()
    await expect(Promise.all([first, second])).resolves.toHaveLength(2)
  })

  it('is replaced only after a pause, for which calls wait', async () => {
    const receiver = await aReceiver()
    const clock = new FakeClock('2027-01-15T08:00:00Z')
    const pool = startPool({ maxHeapMb: 24, clock })
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
    const notCalled = { kind: 'not_called', reason: 'stopping' }
    expect(await Promise.all([waiting, unsent, pool.call(aCall({ url: `${receiver.url}/late` }))])).toEqual([notCalled, notCalled, notCalled])
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
    const pool = startPool({ maxHeapMb: 24, clock })
    const large = Array.from({ length: 8 }, () => pool.call(aCall({ url: receiver.url, method: 'POST', body: 'x'.repeat(8_000_000) })))
    await Promise.all(large)
    const waiting = pool.call(aCall({ url: receiver.url }))
    await pool.stop(60_000)
    await expect(waiting).resolves.toEqual({ kind: 'not_called', reason: 'stopping' })
    expect(clock.timers).toBe(0)
  })
})
