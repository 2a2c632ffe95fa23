import { describe, expect, it } from 'vitest'
import { servesTasksWithoutCallback, withHandler } from '../../src/domain/task/handler.ts'
import type { HandlerDefinition } from '../../src/domain/task/handler.ts'
import { presentHandler } from '../../src/wire/present-handler.ts'
import type { TaskDefinition } from '../../src/domain/task/task.ts'

const DEFAULTS = {
  callback: 'http://handler.test/run',
  callback_method: 'PUT',
  expected_http_status: '2xx',
  retry: 7,
  max_delay: 30,
  timeout: 60,
  error_callback: 'http://handler.test/error',
  delivery: 'at_least_once',
  ack_timeout: 5,
} as const satisfies HandlerDefinition

const OWN = {
  callback: 'http://task.test/run',
  callback_method: 'GET',
  expected_http_status: 204,
  retry: 0,
  max_delay: 1,
  timeout: 1,
  error_callback: 'http://task.test/error',
  delivery: 'at_most_once',
  ack_timeout: 1,
} as const satisfies TaskDefinition

describe('a task with a handler', () => {
  it('is as it is where the name has none', () => {
    expect(withHandler({ payload: 'p' }, undefined)).toEqual({ payload: 'p' })
  })

  it('takes every default that it says nothing about', () => {
    expect(withHandler({ payload: 'p', repeat: '@daily', timezone: 'Asia/Tokyo', spread: 3 }, DEFAULTS)).toEqual({
      ...DEFAULTS,
      payload: 'p',
      repeat: '@daily',
      timezone: 'Asia/Tokyo',
      spread: 3,
    })
  })

  it.each(Object.keys(DEFAULTS) as (keyof typeof DEFAULTS)[])('keeps its own %s, also where that is 0, and takes the others', (field) => {
    expect(withHandler({ [field]: OWN[field] }, DEFAULTS)).toEqual({ ...DEFAULTS, [field]: OWN[field] })
  })

  it('never gets the limits of its name', () => {
    const limits = { concurrency: 1, rate: 2, paused: true, pull: true } as const
    expect(withHandler({}, limits)).toEqual({})
    expect(withHandler({ retry: 0 }, { ...DEFAULTS, ...limits })).toEqual({ ...DEFAULTS, retry: 0 })
  })

  it.each([
    [undefined, undefined, undefined],
    [undefined, { 'X-A': '1' }, { 'X-A': '1' }],
    [{ 'X-A': '1' }, undefined, { 'X-A': '1' }],
    [{}, { 'X-A': '1' }, { 'X-A': '1' }],
    [{ 'X-A': '1' }, {}, { 'X-A': '1' }],
    [{ 'x-b': '2' }, { 'X-A': '1' }, { 'X-A': '1', 'x-b': '2' }],
    [{ 'x-a': 'own' }, { 'X-A': '1', 'X-B': '2' }, { 'X-B': '2', 'x-a': 'own' }],
    [{ 'X-A': '' }, { 'x-a': '1' }, { 'X-A': '' }],
    [{ AUTHORIZATION: 'own' }, { authorization: 'default' }, { AUTHORIZATION: 'own' }],
    [{ constructor: 'own' }, { toString: 'default' }, { constructor: 'own', toString: 'default' }],
  ])('with the headers %j of its own over %j sends %j', (own, defaults, expected) => {
    const definition = withHandler({ ...(own && { headers: own }) }, { ...(defaults && { headers: defaults }) })
    expect(definition).toEqual(expected === undefined ? {} : { headers: expected })
  })

  it('changes neither definition', () => {
    const own = { headers: { 'x-a': 'own' } }
    const handler = { headers: { 'X-A': 'default' }, paused: true }
    withHandler(own, handler)
    expect([own, handler]).toEqual([{ headers: { 'x-a': 'own' } }, { headers: { 'X-A': 'default' }, paused: true }])
  })
})

describe('tasks without a callback of their own', () => {
  it.each<[HandlerDefinition | undefined, boolean]>([
    [undefined, false],
    [{}, false],
    [{ error_callback: 'http://handler.test/error', paused: true }, false],
    [{ pull: false }, false],
    [{ pull: true }, true],
    [{ callback: 'http://handler.test/run' }, true],
    [{ callback: 'http://handler.test/run', pull: false }, true],
  ])('with the handler %j can be done: %j', (handler, expected) => {
    expect(servesTasksWithoutCallback(handler)).toBe(expected)
  })
})

describe('a handler on the wire', () => {
  it('holds its name, what was set, and its times', () => {
    const definition = { paused: false, retry: 0, headers: { 'X-Plain': 'a', 'X-Api-Key': 'secret' } }
    expect(presentHandler({ name: 'a', definition, created: 0, updated: 1_800_000_000_123 })).toEqual({
      name: 'a',
      paused: false,
      retry: 0,
      headers: { 'X-Plain': 'a', 'X-Api-Key': 'redacted' },
      created: '1970-01-01T00:00:00.000Z',
      updated: '2027-01-15T08:00:00.123Z',
    })
  })
})
