import fc from '../support/fast-check.ts'
import { describe, expect, test } from 'vitest'
import { deadlineOf, firstDueAt, hostOf, maxAttempts, newTask, pendingTask, withDefaults } from '../../src/domain/task/task.ts'
import { MINUTE } from '../support/a-task.ts'

const MINUTE_MS = MINUTE * 1000
const SECOND = 1000
const CALLBACK = 'http://receiver.test/run'

describe('the first attempt', () => {
  const keys = fc.record({ name: fc.string({ minLength: 1 }), triggerAt: fc.nat(100_000_000).map((n) => n * 60) })

  test('is due on the minute without a spread', () => {
    fc.assert(
      fc.property(keys, (key) => {
        expect(firstDueAt(key, {})).toBe(key.triggerAt * 1000)
        expect(firstDueAt(key, { spread: 0 })).toBe(key.triggerAt * 1000)
      }),
    )
  })

  test('is due at a whole second of the spread, and always at the same one for the same key', () => {
    fc.assert(
      fc.property(keys, fc.integer({ min: 0, max: 59 }), (key, spread) => {
        const dueAt = firstDueAt(key, { spread })
        expect(dueAt).toBeGreaterThanOrEqual(key.triggerAt * 1000)
        expect(dueAt).toBeLessThanOrEqual((key.triggerAt + spread) * 1000)
        expect(dueAt % SECOND).toBe(0)
        expect(firstDueAt({ ...key }, { spread })).toBe(dueAt)
      }),
    )
  })

  // These very seconds, because tasks that were stored by another version must keep theirs.
  test.each([
    ['a-task', MINUTE, 59, 46],
    ['a-task', MINUTE + 60, 59, 11],
    ['b-task', MINUTE, 59, 23],
    ['grüße', MINUTE, 30, 10],
  ])('of %s@%i with a spread of %i is due %i seconds after the minute', (name, triggerAt, spread, second) => {
    expect((firstDueAt({ name, triggerAt }, { spread }) - triggerAt * 1000) / SECOND).toBe(second)
  })

  test('of a crowded minute falls on all seconds of the spread about equally', () => {
    const counts = new Map<number, number>()
    for (let n = 0; n < 6000; n += 1) {
      const second = (firstDueAt({ name: `task-${n}`, triggerAt: MINUTE }, { spread: 59 }) - MINUTE_MS) / SECOND
      counts.set(second, (counts.get(second) ?? 0) + 1)
    }
    expect(counts.size).toBe(60)
    expect(Math.max(...counts.values())).toBeLessThan(160)
    expect(Math.min(...counts.values())).toBeGreaterThan(50)
  })
})

describe('a new task', () => {
  const key = { name: 'a-task', triggerAt: MINUTE }

  test('has a window that counts from its minute, not from its second', () => {
    const task = newTask(key, { callback: CALLBACK, spread: 59, max_delay: 3 }, MINUTE_MS - 5000)
    expect(task).toMatchObject({ dueAt: firstDueAt(key, { spread: 59 }), deadline: MINUTE_MS + 3 * 60_000 })
    expect(task.dueAt).toBeGreaterThan(MINUTE_MS)
  })

  test('of the present minute is due when it is stored, and its window counts from then', () => {
    expect(newTask(key, {}, MINUTE_MS + 16_200)).toMatchObject({
      dueAt: MINUTE_MS + 16_200,
      windowFrom: MINUTE_MS + 16_200,
      deadline: MINUTE_MS + 616_200,
    })
    expect(newTask(key, { spread: 59 }, MINUTE_MS + 59_999).dueAt).toBe(MINUTE_MS + 59_999)
  })

  test('has a window of ten minutes where it says nothing', () => {
    expect(newTask(key, {}, 0).deadline).toBe(MINUTE_MS + 600_000)
    expect(deadlineOf(MINUTE_MS + 7, {})).toBe(MINUTE_MS + 600_007)
  })

  test('has a run id of its own', () => {
    expect(newTask(key, {}, 0).runId).not.toBe(newTask(key, {}, 0).runId)
  })

  test('is pending, in no series, with nothing tried, told or awaited', () => {
    const task = newTask(key, { callback: CALLBACK }, 0)
    expect(pendingTask(task, { created: 5, now: 7 })).toEqual({
      ...task,
      state: 'pending',
      windowFrom: MINUTE_MS,
      attempts: 0,
      lost: 0,
      inAdvance: false,
      removeAfter: false,
      awaiting: null,
      claimedBy: null,
      leaseUntil: null,
      executedAt: null,
      responseStatus: null,
      responseBody: null,
      error: null,
      created: 5,
      updated: 7,
      rescheduledTo: null,
      rescheduledFrom: null,
      repeatedTo: null,
      errorCallback: null,
    })
  })
})

describe('the lane', () => {
  test.each([
    ['http://receiver.test/run', 'receiver.test'],
    ['http://receiver.test:80/', 'receiver.test'],
    ['https://RECEIVER.test:8443/', 'receiver.test:8443'],
    ['http://[::1]:81/', '[::1]:81'],
    [undefined, ''],
  ])('of the callback %s is %j', (callback, lane) => {
    expect(hostOf(callback === undefined ? {} : { callback })).toBe(lane)
  })
})

describe('a definition', () => {
  test('has a default for every field that can have one', () => {
    expect(withDefaults({})).toEqual({
      callback_method: 'GET',
      payload: '',
      headers: {},
      expected_http_status: 200,
      retry: 1,
      max_delay: 10,
      delivery: 'at_least_once',
      timezone: 'UTC',
      spread: 0,
    })
  })

  test('keeps what was given', () => {
    const given = { callback: CALLBACK, retry: 0, payload: null, spread: 59, ack_timeout: 5, repeat: '@hourly', timezone: 'Asia/Tokyo' }
    expect(withDefaults(given)).toMatchObject(given)
  })

  test('of at_most_once has no retry, whatever it says otherwise', () => {
    expect(withDefaults({ delivery: 'at_most_once', retry: 7 }).retry).toBe(0)
    expect(maxAttempts({ definition: { delivery: 'at_most_once', retry: 7 }, lost: 0, attempts: 1 })).toBe(1)
  })

  test.each([
    [0, 0, 1],
    [1, 0, 2],
    [100, 4, 105],
  ])('with retry %i and %i losses allows %i attempts', (retry, lost, attempts) => {
    expect(maxAttempts({ definition: { retry }, lost, attempts: 1 })).toBe(attempts)
  })
})
