/** What answers look like, checked member by member. */
import { expect } from 'vitest'
import type { WireErrorCallbackResult, WireTask } from '../../src/wire/present-task.ts'
import { TASK_STATES } from '../../src/domain/task/task.ts'

const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
const LOCAL = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d$/
const UNIX_SECONDS = /^\d+$/
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/
const KEY = /^.+@\d+$/

const orNull = (matches: (value: unknown) => boolean) => (value: unknown) => value === null || matches(value)
const text = (pattern: RegExp) => (value: unknown) => typeof value === 'string' && pattern.test(value)
const integer = (value: unknown) => Number.isInteger(value)

const RESULT_MEMBERS: Readonly<Record<keyof WireErrorCallbackResult, (value: unknown) => boolean>> = {
  state: (value) => (TASK_STATES as readonly unknown[]).includes(value),
  attempts: integer,
  executed_at: orNull(text(UNIX_SECONDS)),
  response_status: orNull(integer),
  error: orNull(text(/./)),
}

function isErrorCallbackResult(value: unknown): boolean {
  const members = Object.entries(RESULT_MEMBERS)
  if (Object.keys(value as object).join() !== members.map(([name]) => name).join()) return false
  return members.every(([name, isRight]) => isRight((value as WireErrorCallbackResult)[name as keyof WireErrorCallbackResult]))
}

/** Every member of a task on the wire, and how a right value of it is known. */
const TASK_MEMBERS: Readonly<Record<Exclude<keyof WireTask, 'history'>, (value: unknown) => boolean>> = {
  task_name: text(/./),
  key: text(KEY),
  trigger_at: text(UNIX_SECONDS),
  trigger_time: text(RFC3339),
  local_time: orNull(text(LOCAL)),
  task_state: (value) => (TASK_STATES as readonly unknown[]).includes(value),
  callback: orNull(text(/^https?:/)),
  callback_method: text(/^[A-Z]+$/),
  payload: (value) => value !== undefined,
  headers: (value) => typeof value === 'object' && value !== null,
  expected_http_status: (value) => ['number', 'string', 'object'].includes(typeof value),
  retry: integer,
  max_delay: integer,
  timeout: integer,
  error_callback: orNull(text(/^https?:/)),
  error_payload: (value) => value !== undefined,
  delivery: text(/^at_(least|most)_once$/),
  ack_timeout: orNull(integer),
  repeat: orNull(text(/./)),
  timezone: text(/./),
  spread: integer,
  run_id: text(UUID),
  attempts: integer,
  lost: integer,
  next_attempt: orNull(text(RFC3339)),
  executed_at: orNull(text(UNIX_SECONDS)),
  response_status: orNull(integer),
  response_body: orNull(text(/^/)),
  error: orNull(text(/./)),
  created: text(RFC3339),
  updated: text(RFC3339),
  rescheduled_to: orNull(text(KEY)),
  rescheduled_from: orNull(text(KEY)),
  repeated_to: orNull(text(KEY)),
  error_callback_result: orNull(isErrorCallbackResult),
}

/** Fails on a member that is missing, wrong or too many, and answers the value as a task. */
export function expectTask(value: unknown): WireTask {
  const { history, ...task } = value as WireTask
  expect(Object.keys(task)).toEqual(Object.keys(TASK_MEMBERS))
  const wrong = Object.entries(TASK_MEMBERS).filter(([name, isRight]) => !isRight(task[name as keyof typeof task]))
  expect(wrong.map(([name]) => name)).toEqual([])
  for (const attempt of history ?? []) {
    expect(Object.keys(attempt)).toEqual([
      'run_id',
      'number',
      'due',
      'start',
      'lateness_ms',
      'duration_ms',
      'status',
      'error',
      'outcome',
      'node',
    ])
  }
  return value as WireTask
}

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
}

/** Fails unless the answer is a problem document with this status, and answers its sentence. */
export function expectProblem(answer: Answer, status: number, pointer?: string): string {
  const problem = answer.body as {
    error: string
    errors?: { pointer: string; detail?: string }[]
    type: string
    title: string
    status: number
  }
  expect(answer.status, JSON.stringify(answer.body)).toBe(status)
  expect(answer.headers['content-type']).toBe('application/problem+json')
  expect(problem).toMatchObject({ type: 'about:blank', status })
  expect([typeof problem.title, typeof problem.error]).toEqual(['string', 'string'])
  // A person reads the sentence first, and once.
  expect(Object.keys(problem)[0]).toBe('error')
  expect(JSON.stringify(problem).split(JSON.stringify(problem.error).slice(1, -1))).toHaveLength(2)
  expect(problem.errors?.[0]?.pointer).toBe(pointer)
  return problem.error
}
