import { describe, expect, it } from 'vitest'
import { withHandler, type HandlerDefinition } from '../../src/domain/task/handler.ts'
import type { Task, TaskDefinition } from '../../src/domain/task/task.ts'
import { faultOfTemplate, filledDefinition, filledErrorPayload, leadsElsewhere } from '../../src/domain/task/template.ts'
import { MINUTE } from '../support/a-task.ts'
import { aRunningTask } from './running-task.ts'

const RUN = '1b4e28ba-2fa1-41d2-883f-0016d3cca427'

/** A task of a handler at its third attempt. */
function taskOf(name: string, handler: string, values: HandlerDefinition, own: TaskDefinition = {}): Task {
  return aRunningTask({ name, runId: RUN, attempts: 3, definition: withHandler(own, values, handler) })
}

const urlOf = (name: string, handler: string, callback: string) => filledDefinition(taskOf(name, handler, { callback })).callback

function bodyOf(name: string, payload: HandlerDefinition['payload'], isJson?: true): unknown {
  const values = { payload, ...(isJson && { payload_is_json: isJson }) } as HandlerDefinition
  return filledDefinition(taskOf(name, 'mail.*', values)).payload
}

describe('a callback of a handler', () => {
  it.each([
    ['mail.17', 'mail.*', 'http://a.test/{name}', 'http://a.test/mail.17'],
    ['mail.17', 'mail.*', 'http://a.test/m/{id}', 'http://a.test/m/17'],
    ['mail.17', '*', 'http://a.test/{id}', 'http://a.test/mail.17'],
    ['mail.', 'mail.*', 'http://a.test/{id}', 'http://a.test/'],
    ['mail.17', 'mail.*', 'http://a.test/?m={minute}&r={run_id}&n={attempt}', `http://a.test/?m=${MINUTE}&r=${RUN}&n=3`],
    [
      'mail.a&b=c?d#é%{id}',
      'mail.*',
      'http://a.test/{id}?q={id}',
      'http://a.test/a%26b%3Dc%3Fd%23%C3%A9%25%7Bid%7D?q=a%26b%3Dc%3Fd%23%C3%A9%25%7Bid%7D',
    ],
    ['mail.$&', 'mail.*', 'http://a.test/{id}', 'http://a.test/%24%26'],
    ['mail.17', 'mail.*', 'http://a.test/%7Bid%7D?f={"a":1}', 'http://a.test/%7Bid%7D?f={"a":1}'],
  ])('is for %s of %s: %s becomes %s', (name, handler, callback, url) => {
    expect(urlOf(name, handler, callback)).toBe(url)
  })

  it('is none of a task that has its own, whatever that holds', () => {
    const own = { callback: 'http://own.test/{name}', payload: '{name}' }
    const task = taskOf('mail.17', 'mail.*', { callback: 'http://a.test/{name}', payload: '{id}' }, own)
    expect(filledDefinition(task)).toEqual(own)
  })

  it.each([
    ['mail...', 'http://a.test/m/{id}', true],
    ['mail..', 'http://a.test/m/{id}?a', true],
    ['mail...', 'http://a.test/m?a=/{id}', false],
    ['mail....', 'http://a.test/m/{id}', false],
    ['mail...', 'http://a.test/../{id}.x', false],
    ['mail.1', 'http://a.test/a/../{id}', false],
  ])('leads %s by %s elsewhere: %s', (name, callback, isLed) => {
    const task = taskOf(name, 'mail.*', { callback })
    expect(leadsElsewhere(task, filledDefinition(task).callback ?? '')).toBe(isLed)
  })

  it.each([
    ['http://{name}.test/', 'host'],
    ['http://a.test{id}', 'host'],
    ['http://a.test:{id}/', 'host'],
    ['http://a.test/{nmae}', '"{nmae}", which is no placeholder; known are {name}, {id}, {minute}, {run_id}, {attempt}'],
    ['http://a.test/{Name}', '"{Name}"'],
    ['http://a.test/{{name}}', '"{{name}}"'],
    ['http://a.test/?a={run-id}', '"{run-id}"'],
    ['http://a.test/{}', '"{}"'],
  ])('%s is refused for its %s', (url, words) => {
    expect(faultOfTemplate(url)).toContain(words)
  })
})

describe('a payload of a handler', () => {
  it.each([
    [
      'mail."\\\u2028é',
      '{ "id" : "{id}", "n":1.0, "{name}":"\\u007bid} {other} {state}" }',
      '{ "id" : "\\"\\\\\u2028é", "n":1.0, "mail.\\"\\\\\u2028é":"\\u007bid} {other} {state}" }',
    ],
    ['mail.1', '"{attempt}{minute}"', `"3${MINUTE}"`],
  ])('of %j that is JSON gets strings as JSON writes them: %j becomes %j', (name, text, filled) => {
    expect(bodyOf(name, text, true)).toBe(filled)
  })

  it('is the same whether it is kept as text or as a value', () => {
    expect(bodyOf('mail.a"b', { to: ['{id}'] })).toBe('{"to":["a\\"b"]}')
    expect(bodyOf('mail.a"b', { to: ['ann'] })).toEqual({ to: ['ann'] })
  })

  it('that is plain text gets them as they are', () => {
    expect(bodyOf('mail.a"&b', 'q={id}&{x}')).toBe('q=a"&b&{x}')
  })

  it('that is JSON makes no JSON of that of a task', () => {
    const values = { payload: '1.0', payload_is_json: true, error_payload: '[1.0]', error_payload_is_json: true } as const
    expect(withHandler({ payload: 'a', error_payload: 'b' }, values)).toEqual({ payload: 'a', error_payload: 'b' })
    expect(withHandler({}, values)).toEqual(values)
  })
})

it('the payload of an error callback says how the task has ended, and with what', () => {
  const text = '{"text":"{id} {state} {status} after {attempt}: {error} ({time})"}'
  const task = taskOf('mail.7', 'mail.*', { error_payload: text, error_payload_is_json: true })
  const ended = { ...task, state: 'failed', responseStatus: 500, error: 'said "no"\n' } as const
  expect(filledErrorPayload(ended)).toEqual({
    payload: '{"text":"7 failed 500 after 3: said \\"no\\"\\n (2027-01-15T08:00:00.000Z)"}',
    payload_is_json: true,
  })
  const skipped = { ...ended, responseStatus: null, definition: { error_payload: '{status}|{state}' }, state: 'skipped' } as const
  expect(filledErrorPayload(skipped)).toEqual({ payload: '|skipped' })
})
