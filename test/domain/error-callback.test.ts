import fc from '../support/fast-check.ts'
import { describe, expect, test } from 'vitest'
import { errorCallbackKey, errorCallbackOf, isErrorCallback, reportedKey } from '../../src/domain/task/error-callback.ts'
import { TASK_STATES, pendingTask, withDefaults } from '../../src/domain/task/task.ts'
import type { Attempt } from '../../src/domain/task/attempt.ts'
import type { Task, TaskDefinition } from '../../src/domain/task/task.ts'
import { formatTaskKey, parseTaskName } from '../../src/domain/task/task-key.ts'
import { MINUTE } from '../support/a-task.ts'
import { aRunningTask } from './running-task.ts'

const NOW = MINUTE * 1000 + 4321
const URL = 'https://alarm.test:8443/failed?from=callme'
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/

function failedTask(definition: Partial<TaskDefinition> = {}, fields: Partial<Omit<Task, 'definition'>> = {}): Task {
  return aRunningTask({ ...fields, definition: { error_callback: URL, ...definition }, state: fields.state ?? 'failed' })
}

const attemptOf = (task: Task): Attempt => ({
  runId: task.runId,
  number: 1,
  dueAt: NOW - 110,
  startedAt: NOW - 100,
  durationMs: 80,
  deadline: NOW + 600_000,
  status: 500,
  error: 'answered 500, expected 200',
  outcome: 'failed',
  attemptsLeft: 0,
  node: 'node-1',
})

describe('the error callback', () => {
  test('of a task that has failed is a POST of its own, due at once, that tells what happened', () => {
    const task = failedTask({ payload: { a: 1 }, timeout: 7, retry: 4, max_delay: 3 })
    const attempts = [attemptOf(task)]
    const callback = errorCallbackOf(task, attempts, NOW)
    expect(callback).toEqual({
      name: `a-task@${task.runId}`,
      triggerAt: MINUTE,
      definition: {
        callback: URL,
        callback_method: 'POST',
        payload: { task, attempts },
        expected_http_status: '2xx',
        retry: 4,
        max_delay: 3,
        timeout: 7,
      },
      host: 'alarm.test:8443',
      dueAt: NOW,
      windowFrom: NOW,
      inAdvance: false,
      deadline: NOW + 180_000,
      runId: expect.stringMatching(UUID) as string,
    })
    expect(callback?.runId).not.toBe(task.runId)
  })

  test('takes nothing of how the task itself is called', () => {
    const own = { callback_method: 'PUT', headers: { authorization: 'Bearer t' }, spread: 59, repeat: '@hourly', ack_timeout: 5 } as const
    const definition = errorCallbackOf(failedTask(own), [], NOW)?.definition ?? {}
    expect(Object.keys(definition).toSorted()).toEqual(
      ['callback', 'callback_method', 'expected_http_status', 'max_delay', 'payload', 'retry'].toSorted(),
    )
  })

  test.each<[Partial<TaskDefinition>, number]>([
    [{}, 1],
    [{ retry: 0 }, 1],
    [{ retry: 9 }, 9],
    [{ delivery: 'at_most_once' }, 1],
  ])('of a task with %j is tried again %i times: the task may ask for one call, the bad news should arrive', (definition, retry) => {
    const callback = errorCallbackOf(failedTask(definition), [], NOW)
    expect(withDefaults(callback?.definition ?? {})).toMatchObject({ retry, delivery: 'at_least_once' })
  })

  test.each(TASK_STATES)('of a task that is %s is there if that is a bad end', (state) => {
    const isTold = state === 'failed' || state === 'skipped'
    expect(errorCallbackOf(failedTask({}, { state }), [], NOW) !== undefined).toBe(isTold)
  })

  test('of a task that asks for none is none', () => {
    expect(errorCallbackOf(aRunningTask({ state: 'failed' }), [], NOW)).toBeUndefined()
  })

  test('never has an error callback itself, however it ends', () => {
    const callback = errorCallbackOf(failedTask(), [], NOW)
    if (callback === undefined) throw new Error('there should be one')
    expect(callback.definition).not.toHaveProperty('error_callback')
    const ended = { ...pendingTask(callback, { created: NOW, now: NOW }), state: 'failed' } as const
    const definition = { ...ended.definition, error_callback: URL }
    expect(errorCallbackOf({ ...ended, definition }, [], NOW)).toBeUndefined()
  })

  test('is one for each run: the key is that of the run, and another run has another', () => {
    const task = failedTask()
    expect(errorCallbackOf(task, [], NOW)).toMatchObject(errorCallbackKey(task))
    expect(errorCallbackKey(task)).toEqual(errorCallbackKey({ ...task }))
    expect(errorCallbackKey({ ...task, runId: 'other' })).not.toEqual(errorCallbackKey(task))
    expect(errorCallbackKey({ ...task, triggerAt: MINUTE + 60 })).not.toEqual(errorCallbackKey(task))
  })
})

describe('the name of an error callback', () => {
  const names = fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }).filter((name) => parseTaskName(name).ok)

  test('is one that no client can give, and leads back to the key of its task', () => {
    fc.assert(
      fc.property(names, fc.uuid(), (name, runId) => {
        const key = errorCallbackKey({ name, runId, triggerAt: MINUTE })
        expect(parseTaskName(key.name).ok).toBe(false)
        expect([isErrorCallback(key), isErrorCallback({ name })]).toEqual([true, false])
        expect(reportedKey(key)).toBe(formatTaskKey({ name, triggerAt: MINUTE }))
        expect(reportedKey({ name, triggerAt: MINUTE })).toBe(formatTaskKey({ name, triggerAt: MINUTE }))
      }),
    )
  })
})
