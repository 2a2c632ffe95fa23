import diagnostics from 'node:diagnostics_channel'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Config } from '../../src/config/load-config.ts'
import { CallmeError } from '../../src/domain/errors.ts'
import type { TaskChange } from '../../src/domain/task/task-change.ts'
import { formatTaskKey } from '../../src/domain/task/task-key.ts'
import { start } from '../../src/server.ts'
import type { RunningNode } from '../../src/server.ts'
import type { Store } from '../../src/store/store.ts'
import { MINUTE, aTask } from '../support/a-task.ts'
import { settle } from '../support/fake-clock.ts'
import { openApi } from '../support/open-api.ts'
import type { Api } from '../support/open-api.ts'
import { openEvents } from '../support/sse.ts'
import type { EventReader, OpenOptions } from '../support/sse.ts'
import { expectProblem, expectTask } from '../support/wire.ts'

const PER_COMMIT = 1000
/** More than one connection's buffers hold, on both sides of it. */
const FLOOD = 20_000

/** What the API asks of its store, counted, and failing as a test likes. */
class Watch {
  reads = 0
  changesRead = 0
  subscriptions = 0
  beforeRead: () => Promise<void> | void = () => undefined

  over(store: Store): Partial<Store> {
    return {
      changes: async (page) => {
        await this.beforeRead()
        const answer = await store.changes(page)
        this.reads += 1
        this.changesRead += answer.changes.length
        return answer
      },
      onChange: (listener) => {
        const end = store.onChange(listener)
        this.subscriptions += 1
        return () => {
          this.subscriptions -= 1
          end()
        }
      },
    }
  }
}

let api: Api
let watch: Watch
let responses: ServerResponse[]
const noteResponse = (message: unknown) => void responses.push((message as { response: ServerResponse }).response)

beforeEach(async () => {
  watch = new Watch()
  responses = []
  diagnostics.subscribe('http.server.request.start', noteResponse)
  api = await openApi((store) => watch.over(store))
  // Claims that wait are told of changes too, for as long as the server lives.
  watch.subscriptions = 0
})
afterEach(async () => {
  diagnostics.unsubscribe('http.server.request.start', noteResponse)
  await api.close()
})

const listen = (query = '', options: OpenOptions = {}): Promise<EventReader> => openEvents(api.port, { query, ...options })

async function put(...names: string[]): Promise<void> {
  for (const name of names) await api.store.put([aTask({ name })], { now: api.clock.now() })
}

/** Stores `count` entries that are alike, a thousand in each commit. */
async function flood(count: number): Promise<void> {
  for (let from = 0; from < count; from += PER_COMMIT) {
    const length = Math.min(PER_COMMIT, count - from)
    const tasks = Array.from({ length }, (_, n) => aTask({ name: `flood-${from + n}` }))
    await api.store.put(tasks, { now: api.clock.now() })
  }
}

async function kept(store = api.store): Promise<TaskChange[]> {
  const changes: TaskChange[] = []
  for (;;) {
    const page = await store.changes({ after: changes.at(-1)?.id ?? 0, limit: PER_COMMIT })
    if (page.changes.length === 0) return changes
    changes.push(...page.changes)
  }
}

const idsOf = (changes: readonly TaskChange[]): number[] => changes.map(({ id }) => id)
const closed = async (response: ServerResponse | undefined): Promise<void> => {
  if (response?.closed === false) await once(response, 'close')
}

describe('GET /events', () => {
  it('answers at once with the head of a stream, how to come back, and where it stands', async () => {
    await put('before')
    const reader = await listen()
    expect(reader.status).toBe(200)
    expect(reader.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no',
      connection: 'close',
    })
    expect(reader.headers).not.toHaveProperty('content-encoding')
    expect(reader.raw).toBe(': this stream tells of changes of tasks\nretry: 3000\nid: 1\n\n')
    expect([reader.retry, reader.lastEventId, reader.events]).toEqual([3000, '1', []])
  })

  it('answers HEAD with the same head, and ends', async () => {
    const answer = await api.http.head('/events?events=created')
    expect(answer.headers).toMatchObject({ 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' })
    expect([answer.status, answer.text, api.clock.timers]).toEqual([200, undefined, 0])
  })

  it('tells of each change as one line of data that holds the task as it reads back', async () => {
    const reader = await listen()
    await api.called('told', 200)
    const events = await reader.have(3)
    expect(reader.kinds).toEqual(['created', 'processing', 'completed'])
    expect(events.map(({ data }) => expectTask(data).task_state)).toEqual(['pending', 'running', 'successful'])
    const [read] = (await api.http.get(`/task/told@${MINUTE}`)).body.tasks
    const { history: _history, ...task } = read
    expect(events[2]?.data).toEqual(task)
    expect(reader.raw).toContain(`id: 3\nevent: completed\ndata: ${JSON.stringify(task)}\n\n`)
  })

  it('takes pretty as every endpoint does: it indents what refuses, and an event stays one line', async () => {
    const [reader, other] = await Promise.all([listen('?pretty'), listen()])
    await put('a')
    await Promise.all([reader.have(1), other.have(1)])
    expect(reader.raw).toBe(other.raw)
    const refused = await api.http.get('/events?events=done&pretty')
    expect(refused.text).toBe(`${JSON.stringify(refused.body, null, 4)}\n`)
  })

  it('shows no secret', async () => {
    const reader = await listen()
    const headers = { Authorization: 'Bearer canary', 'X-Plain': 'shown' }
    await api.store.put([aTask({ definition: { headers } })], { now: api.clock.now() })
    const [event] = await reader.have(1)
    expect(event?.data.headers['X-Plain']).toBe('shown')
    expect(reader.raw).not.toContain('canary')
  })

  it('says where a payload is too large to be told', async () => {
    const reader = await listen()
    const large = 'x'.repeat(20_000)
    await api.store.put([aTask({ name: 'large', definition: { payload: large } })], { now: api.clock.now() })
    await api.store.put([aTask({ name: 'small', definition: { payload: 'line\nbreak\r\u2028' } })], { now: api.clock.now() })
    const [first, second] = await reader.have(2)
    expect(first?.data).toMatchObject({ task_name: 'large', payload: null, payload_omitted: true })
    expect(second?.data.payload).toBe('line\nbreak\r\u2028')
    expect(second?.data).not.toHaveProperty('payload_omitted')
  })

  it('tells of what is written together with something that is undone, and not of that', async () => {
    await put('moves')
    const reader = await listen()
    const at = { now: api.clock.now() }
    await Promise.all([
      api.store.put([aTask({ name: 'first' })], at),
      api.store.reschedule({ selection: {}, all: true, triggerAt: MINUTE + 600, dryRun: true, limit: 10, ...at }),
      api.store.put([aTask({ name: 'second' })], at),
      api.store.reschedule({ selection: {}, all: true, triggerAt: MINUTE + 600, dryRun: true, limit: 10, ...at }),
    ])
    await reader.have(2)
    await put('third')
    await reader.have(3)
    expect(reader.names).toEqual(['first', 'second', 'third'])
  })

  it('tells every listener of every change once and in order while many write at the same time', async () => {
    const readers = await Promise.all([listen(), listen(), listen()])
    const writers = Array.from({ length: 20 }, async (_, writer) => {
      for (let round = 0; round < 10; round += 1) {
        const name = `writer-${writer}-${round % 3}`
        await api.http
          .put(`/task/${name}`)
          .send({ trigger_at: MINUTE + 60 * (round % 4), callback: 'http://receiver.test/' })
          .expect(({ status }) => {
            expect([200, 201]).toContain(status)
          })
        if (round % 5 === 4) await api.http.delete(`/task/${name}`)
        if (round % 5 === 2) await api.http.post(`/reschedule/${name}?all`)
      }
    })
    await Promise.all(writers)
    const changes = await kept()
    expect(changes.length).toBeGreaterThan(200)
    for (const reader of readers) {
      await reader.have(changes.length)
      expect(reader.ids).toEqual(idsOf(changes))
      expect(reader.kinds).toEqual(changes.map(({ kind }) => kind))
      expect(reader.events.map(({ data }) => `${data.task_name}@${data.trigger_at}`)).toEqual(
        changes.map(({ task }) => formatTaskKey(task)),
      )
    }
  })

  it.each([
    ['?events=', '?events', 'events must be * or one or more of created'],
    ['?events=created,', '?events', 'got "created,"'],
    ['?events=done', '?events', 'got "done"'],
    ['?events=*,failed', '?events', 'got "*,failed"'],
    ['?events=failed&events=created', '?events', 'must be given once'],
    ['?name=a@b', '?name', 'name must be that of tasks, or a beginning and an asterisk: task_name must be 1 to 200 characters'],
    ['?name=', '?name', 'name must be that of tasks'],
    ['?last_event_id=-1', '?last_event_id', 'last_event_id must be the id of an event'],
    ['?last_event_id=1e3', '?last_event_id', 'got "1e3"'],
    ['?last_event_id=9999999999999999', '?last_event_id', 'the id of an event'],
    ['?event=failed', '?event', 'did you mean "events"?'],
    ['?pretty=yes', '?pretty', 'got "yes"'],
  ])('refuses %s', async (query, pointer, part) => {
    expect(expectProblem(await api.http.get(`/events${query}`), 400, pointer)).toContain(part)
    expect(api.clock.timers).toBe(0)
  })
})

describe('a filter', () => {
  const life = async (): Promise<void> => {
    await api.called('good', 200)
    await api.called('bad', 404)
    await put('good', 'last')
  }

  it.each([
    ['', 'created processing completed created processing failed updated created'],
    ['?events=*', 'created processing completed created processing failed updated created'],
    ['?events=failed', 'failed'],
    ['?events=created,completed', 'created completed created created'],
    ['?name=good', 'created processing completed updated'],
    ['?name=good&events=updated,failed', 'updated'],
    ['?name=nobody', ''],
  ])('%s lets through: %s', async (query, kinds) => {
    const [reader, whole] = await Promise.all([listen(query), listen()])
    await life()
    await whole.have(8)
    const wanted = kinds === '' ? [] : kinds.split(' ')
    await reader.have(wanted.length)
    await settle()
    expect(reader.kinds).toEqual(wanted)
    const resumed = await listen(query, { lastEventId: 0 })
    await resumed.have(wanted.length)
    expect(resumed.events).toEqual(reader.events)
  })

  it('takes a name as it is, signs and other scripts included', async () => {
    const names = ['a+b', 'Ünïcode-名', '100%']
    const readers = await Promise.all(names.map((name) => listen(`?name=${encodeURIComponent(name)}`)))
    await put(...names)
    for (const [n, reader] of readers.entries()) {
      await reader.have(1)
      expect(reader.names).toEqual([names[n]])
    }
  })

  it('that lets little through does not hold back from where its listener resumes', async () => {
    const reader = await listen('?name=rare')
    await put('a', 'b', 'c')
    await api.clock.advance(15_000)
    await reader.until(() => reader.lastEventId === '3')
    expect(reader.events).toEqual([])
  })
})

describe('a listener that comes back', () => {
  it('is told of everything after its last event, from every position, by header or by query', async () => {
    await api.called('a', 503)
    await put('b', 'c', 'd')
    const ids = idsOf(await kept())
    expect(ids).toHaveLength(6)
    const whole = await listen('', { lastEventId: 0 })
    await whole.have(ids.length)
    for (const id of [0, ...ids]) {
      for (const reader of [await listen('', { lastEventId: id }), await listen(`?last_event_id=${id}`)]) {
        await reader.have(ids.length - id)
        expect(reader.ids).toEqual(ids.filter((other) => other > id))
        reader.close()
      }
    }
  })

  it('loses nothing and gets nothing twice while changes go on', async () => {
    const seen: number[] = []
    const writing = flood(3000)
    let lastEventId = '0'
    while (seen.length < 3000) {
      const reader = await listen('', { lastEventId })
      await reader.have(1)
      seen.push(...reader.ids)
      lastEventId = reader.lastEventId
      reader.close()
    }
    await writing
    expect(seen).toEqual(idsOf(await kept()))
  })

  it('may have got further than the query that it began with: the header wins', async () => {
    await put('a', 'b', 'c')
    const reader = await listen('?last_event_id=0', { lastEventId: 2 })
    await reader.have(1)
    expect(reader.names).toEqual(['c'])
  })

  it('is refused with an id that no event has', async () => {
    const answer = await api.http.get('/events').set('Last-Event-ID', 'abc')
    expect(expectProblem(answer, 400)).toBe(
      'the header Last-Event-ID must be the id of an event as the stream gave it, such as 1024; got "abc"',
    )
  })

  it('begins with the newest where its header is empty', async () => {
    await put('a', 'b')
    const reader = await listen('', { lastEventId: '' })
    await put('c')
    await reader.have(1)
    expect(reader.names).toEqual(['c'])
  })

  it('is told that it missed events that are kept no longer, and then of the rest', async () => {
    await flood(52_000)
    const ids = idsOf(await kept())
    const oldest = ids[0] ?? 0
    expect(oldest).toBeGreaterThan(1)
    expect(ids.length).toBeGreaterThan(10_000)
    const reader = await listen('', { lastEventId: oldest - 2 })
    const [missed] = await reader.have(1 + ids.length)
    expect(missed).toMatchObject({ event: 'missed', id: String(oldest - 1) })
    expect(missed?.data.error).toContain(`the events after ${oldest - 2} are kept no longer`)
    expect(reader.ids.slice(1)).toEqual(ids)
    const exact = await listen('', { lastEventId: oldest - 1 })
    await exact.have(1)
    expect(exact.ids[0]).toBe(oldest)
  })

  it('with an id of another store is told so, and goes on from now', async () => {
    await put('a')
    const reader = await listen('', { lastEventId: 77 })
    await put('b')
    const [missed] = await reader.have(2)
    expect(missed).toMatchObject({ event: 'missed', id: '1' })
    expect(missed?.data.error).toContain('event 77 is not of this store, whose newest one is 1')
    expect(reader.ids).toEqual([1, 2])
  })
})

describe('a connection', () => {
  it('is kept alive by a comment every 15 seconds', async () => {
    const reader = await listen()
    for (let beat = 1; beat <= 4; beat += 1) {
      await api.clock.advance(15_000)
      await reader.until(() => reader.comments.length === 1 + beat)
    }
    expect(reader.comments.slice(1)).toEqual(Array(4).fill('still here'))
    expect(reader.events).toEqual([])
  })

  it('that the client closes leaves nothing behind, and nothing is read when nobody listens', async () => {
    const readers = await Promise.all([listen(), listen('?events=failed')])
    expect([watch.subscriptions, api.clock.timers]).toEqual([1, 1])
    for (const reader of readers) reader.close()
    await Promise.all(responses.map(closed))
    expect([watch.subscriptions, api.clock.timers]).toEqual([0, 0])
    const { reads } = watch
    await put('a', 'b', 'c')
    await settle()
    expect(watch.reads).toBe(reads)
    const again = await listen()
    await put('d')
    await again.have(1)
    expect(again.names).toEqual(['d'])
  })

  it('that is closed before the stream has begun leaves nothing behind', async () => {
    let letGo: () => void = () => undefined
    let isReached: () => void = () => undefined
    const reached = new Promise<void>((resolve) => (isReached = resolve))
    watch.beforeRead = () => {
      isReached()
      return new Promise((resolve) => (letGo = resolve))
    }
    const leaving = new AbortController()
    const fetched = fetch(`http://127.0.0.1:${api.port}/events`, { signal: leaving.signal }).catch((error: unknown) => error)
    await reached
    leaving.abort()
    await fetched
    await closed(responses[0])
    letGo()
    await settle()
    expect([watch.subscriptions, api.clock.timers, api.logged]).toEqual([0, 0, []])
  })

  it('ends with a last comment when the server stops', async () => {
    const readers = await Promise.all([listen(), listen()])
    await put('a')
    for (const reader of readers) await reader.have(1)
    api.stopping.abort()
    for (const reader of readers) {
      await reader.ended()
      expect(reader.comments.at(-1)).toBe('callme stops; connect again to go on')
      expect(reader.ids).toEqual([1])
    }
    await Promise.all(responses.map(closed))
    expect(api.clock.timers).toBe(0)
    const late = await listen()
    await late.ended()
    expect(late.comments.at(-1)).toBe('callme stops; connect again to go on')
  })

  it('outlives a store that fails, and nothing is lost by it', async () => {
    const reader = await listen()
    watch.beforeRead = () => Promise.reject(new CallmeError('store_unavailable', 'the store does not answer'))
    await put('a')
    await settle()
    expect(api.logged).toEqual([{ level: 'warn', event: 'request.failed', fields: { method: 'GET', err: expect.any(CallmeError) } }])
    await put('b')
    await settle()
    watch.beforeRead = () => undefined
    await api.clock.advance(15_000)
    await reader.have(2)
    await put('c')
    await reader.have(3)
    expect(reader.names).toEqual(['a', 'b', 'c'])
  })

  it('is not begun while the store fails', async () => {
    watch.beforeRead = () => Promise.reject(new CallmeError('store_unavailable', 'the store does not answer'))
    const answer = await api.http.get('/events')
    expectProblem(answer, 503)
    expect([answer.headers['retry-after'], watch.subscriptions, api.clock.timers]).toEqual(['5', 0, 0])
  })
})

describe('a listener that stops reading', () => {
  /** A listener whose connection holds no more, with one beside it that reads on. */
  const stopReading = async () => {
    const stopped = await listen()
    const stuck = responses[0] as ServerResponse
    stopped.pause()
    const other = await listen()
    await flood(FLOOD)
    await other.have(FLOOD)
    expect(stuck.writableNeedDrain).toBe(true)
    return { stopped, stuck, other }
  }

  it('costs no memory, holds up nobody, and is dropped after 30 seconds', async () => {
    const { stopped, stuck, other } = await stopReading()
    expect(other.ids).toEqual(idsOf(await kept()))
    const { writableLength } = stuck
    expect(writableLength).toBeLessThan(128 * 1024)
    await flood(FLOOD)
    await other.have(2 * FLOOD)
    await api.clock.advance(29_999)
    expect(stuck.writableLength).toBe(writableLength)
    expect([stuck.destroyed, api.logged]).toEqual([false, []])
    await api.clock.advance(1)
    const fields = { reason: 'unread', last_event_id: expect.any(Number) }
    expect(api.logged).toEqual([{ level: 'info', event: 'listener.dropped', fields }])
    await api.clock.advance(14_999)
    expect(stuck.destroyed).toBe(false)
    await api.clock.advance(1)
    expect(stuck.destroyed).toBe(true)
    stopped.resume()
    await stopped.ended()
    const whole = stopped.ids
    expect(whole).toEqual(other.ids.slice(0, whole.length))
    expect(api.clock.timers).toBe(1)
  })

  it('reads why it was dropped where it reads again within 15 seconds', async () => {
    const { stopped } = await stopReading()
    await api.clock.advance(30_000)
    await api.clock.advance(14_999)
    stopped.resume()
    await stopped.ended()
    const last = stopped.events.at(-1)
    expect(last?.event).toBe('dropped')
    expect(last?.data.error).toBe('nothing was read for 30 seconds; connect again to go on after the last event that was read')
    const again = await listen('', { lastEventId: stopped.lastEventId })
    await again.until(() => again.lastEventId === String(FLOOD))
    expect([...stopped.ids.slice(0, -1), ...again.ids]).toEqual(idsOf(await kept()))
  })

  it.each([
    ['before it is dropped', 0],
    ['when it has been dropped', 30_000],
  ])('holds up a stop for a second, %s', async (_when, passed) => {
    const { stuck, other } = await stopReading()
    await api.clock.advance(passed)
    api.stopping.abort()
    await other.ended()
    await api.clock.advance(999)
    expect([stuck.destroyed, api.logged.length]).toEqual([false, passed === 0 ? 0 : 1])
    await api.clock.advance(1)
    expect(stuck.destroyed).toBe(true)
    await Promise.all(responses.map(closed))
    expect(api.clock.timers).toBe(0)
  })

  it('catches up where it reads again before', async () => {
    const { stopped, other } = await stopReading()
    await api.clock.advance(29_000)
    stopped.resume()
    await stopped.have(FLOOD)
    await api.clock.advance(31_000)
    await put('last')
    await stopped.have(FLOOD + 1)
    await other.have(FLOOD + 1)
    expect(stopped.events).toEqual(other.events)
    expect(api.logged).toEqual([])
  })

  it('is dropped where what it has not read is kept no longer, and is told so', async () => {
    const { stopped, other } = await stopReading()
    other.close()
    await closed(responses[1])
    const { reads } = watch
    await flood(55_000)
    expect(watch.reads).toBe(reads)
    stopped.resume()
    await stopped.ended()
    const last = stopped.events.at(-1)
    expect(last?.event).toBe('dropped')
    expect(last?.data.error).toBe(
      `the events after ${stopped.lastEventId} are kept no longer: there were more of them than could be read; connect again to go on`,
    )
    expect(api.logged).toMatchObject([
      { event: 'listener.dropped', fields: { reason: 'outrun', last_event_id: Number(stopped.lastEventId) } },
    ])
    const again = await listen('', { lastEventId: stopped.lastEventId })
    await again.have(2)
    expect(again.kinds.slice(0, 2)).toEqual(['missed', 'updated'])
  })
})

describe('many listeners', () => {
  it('are each told of every change, which is read once for all of them', async () => {
    const readers = await Promise.all(Array.from({ length: 500 }, () => listen()))
    watch.changesRead = 0
    for (let n = 0; n < 20; n += 1) {
      await Promise.all(Array.from({ length: 10 }, (_, m) => put(`task-${10 * n + m}`)))
    }
    const ids = idsOf(await kept())
    expect(ids).toHaveLength(200)
    for (const reader of readers) {
      await reader.have(200)
      expect(reader.ids).toEqual(ids)
    }
    expect([watch.changesRead, watch.subscriptions, api.clock.timers]).toEqual([200, 1, 1])
    for (const reader of readers) reader.close()
    await Promise.all(responses.map(closed))
    expect([watch.subscriptions, api.clock.timers]).toEqual([0, 0])
  })

  it('leave room for requests while a flood of changes reaches them', async () => {
    const readers = await Promise.all(Array.from({ length: 20 }, () => listen()))
    const flooding = flood(10_000)
    let answers = 0
    while (readers.some((reader) => reader.events.length < 10_000)) {
      await api.http.get('/health').expect(200)
      answers += 1
    }
    await flooding
    expect(answers).toBeGreaterThan(20)
    const ids = idsOf(await kept())
    for (const reader of readers) expect(reader.ids).toEqual(ids)
  })
})

describe('a server that restarts', () => {
  const silent = () => undefined
  const log = { error: silent, warn: silent, info: silent, debug: silent }
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'callme-events-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  const startNode = (): Promise<RunningNode> => {
    const config: Config = {
      listen: { host: '127.0.0.1', port: 0 },
      store: { kind: 'sqlite', path: join(folder, 'callme.db') },
      timeoutMs: 15_000,
      expectedStatus: 200,
      maxInflight: 10,
      maxOpenCalls: 100,
      maxInflightPerHost: undefined,
      nodeName: undefined,
      retentionMs: 0,
      logLevel: 'error',
      keepAliveMs: 75_000,
      shutdownTimeoutMs: 60_000,
    }
    return start(config, log)
  }
  const putAt = async (node: RunningNode, name: string): Promise<void> => {
    const body = JSON.stringify({ trigger_at: '+1h', callback: 'http://receiver.test/' })
    const { status } = await fetch(`${node.address}/task/${name}`, { method: 'PUT', body })
    expect(status).toBe(201)
  }
  const portOf = (node: RunningNode): number => Number(new URL(node.address).port)

  it('is stopped without waiting for its listeners, who go on with their last id', async () => {
    const first = await startNode()
    const reader = await openEvents(portOf(first))
    await putAt(first, 'a')
    await reader.have(1)
    await putAt(first, 'b')
    await first.stop()
    await reader.ended()
    const second = await startNode()
    await putAt(second, 'c')
    const again = await openEvents(portOf(second), { lastEventId: 1 })
    await again.have(2)
    await putAt(second, 'd')
    await again.have(3)
    expect([reader.ids[0], ...again.ids]).toEqual([1, 2, 3, 4])
    expect(again.names).toEqual(['b', 'c', 'd'])
    await second.stop()
  })
})
