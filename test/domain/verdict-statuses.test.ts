/** What every HTTP status means for a task, as tables. */
import { describe, expect, test } from 'vitest'
import type { TaskDefinition } from '../../src/domain/task/task.ts'
import { judge } from '../../src/domain/attempt/verdict.ts'
import type { Verdict } from '../../src/domain/attempt/verdict.ts'
import { MINUTE } from '../support/a-task.ts'
import { aRunningTask } from './running-task.ts'

const STARTED = MINUTE * 1000 + 1000
const NOW = STARTED + 250

/** At the first of two attempts, or at the last one. */
function eventOf(status: number, expected: TaskDefinition['expected_http_status'], attempts = 1): Verdict['event'] {
  const task = aRunningTask({ attempts, definition: expected === undefined ? {} : { expected_http_status: expected } })
  return judge(task, { kind: 'answered', startedAt: STARTED, endedAt: NOW, status, body: '' }, NOW, 0).event
}

describe('every status', () => {
  const statuses = Array.from({ length: 500 }, (_, n) => 100 + n)
  const PASSING = [408, 425, 429]
  const inClass = (digit: number) => (status: number) => Math.floor(status / 100) === digit
  const not = (rule: (status: number) => boolean) => (status: number) => !rule(status)

  /** Which statuses are a success. Any other 2xx ends the task at once, and so does a 4xx that does not pass. */
  test.each<[TaskDefinition['expected_http_status'], (status: number) => boolean]>([
    [200, (status) => status === 200],
    [410, (status) => status === 410],
    [503, (status) => status === 503],
    ['2xx', inClass(2)],
    ['4xx', inClass(4)],
    ['5xx', inClass(5)],
    [['2xx', 429], (status) => inClass(2)(status) || status === 429],
    [['1xx', '2xx', '3xx', '5xx'], not(inClass(4))],
  ])('against %j succeeds, is tried again while there is another attempt, or fails at once', (expected, isGood) => {
    for (const status of statuses) {
      const rest = inClass(2)(status) || (inClass(4)(status) && !PASSING.includes(status)) ? 'gave_up' : 'retry'
      const first = isGood(status) ? 'succeeded' : rest
      const last = isGood(status) ? 'succeeded' : 'gave_up'
      expect([status, eventOf(status, expected), eventOf(status, expected, 2)]).toEqual([status, first, last])
    }
  })

  test.each<[number, Verdict['event'], string]>([
    [100, 'retry', 'no final answer'],
    [200, 'succeeded', 'good'],
    [201, 'succeeded', 'good'],
    [204, 'succeeded', 'good'],
    [299, 'succeeded', 'good'],
    [301, 'retry', 'redirects are not followed'],
    [304, 'retry', 'redirects are not followed'],
    [400, 'gave_up', 'refused'],
    [401, 'gave_up', 'refused'],
    [403, 'gave_up', 'refused'],
    [404, 'gave_up', 'refused'],
    [408, 'retry', 'the request took too long'],
    [409, 'gave_up', 'refused'],
    [410, 'gave_up', 'refused for good'],
    [422, 'gave_up', 'refused'],
    [425, 'retry', 'too early'],
    [429, 'retry', 'too many requests'],
    [451, 'gave_up', 'refused'],
    [499, 'gave_up', 'refused'],
    [500, 'retry', 'the server is broken'],
    [502, 'retry', 'the server is broken'],
    [503, 'retry', 'the server is busy'],
    [504, 'retry', 'the server is slow'],
    [599, 'retry', 'the server is broken'],
  ])('where 2xx is expected: %i is %s (%s)', (status, event) => {
    expect(eventOf(status, '2xx')).toBe(event)
  })
})
