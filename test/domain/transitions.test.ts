import fc from '../support/fast-check.ts'
import { describe, expect, test } from 'vitest'
import { reportOf } from '../../src/domain/attempt/attempt-report.ts'
import { FINAL_STATES, TASK_STATES, WAITING_STATES, deadlineOf, isFinal, withDefaults } from '../../src/domain/task/task.ts'
import type { Delivery, Task, TaskState } from '../../src/domain/task/task.ts'
import { TRANSITIONS, nextState, applyVerdict } from '../../src/domain/attempt/transitions.ts'
import type { TaskEvent } from '../../src/domain/attempt/transitions.ts'
import { expiry } from '../../src/domain/attempt/verdict.ts'
import type { CallResult, Verdict } from '../../src/domain/attempt/verdict.ts'
import { aRunningTask } from './running-task.ts'

const EVENTS_OF_A_PERSON: readonly TaskEvent[] = ['run', 'replaced', 'moved']
const MINUTE_MS = 60_000
type CallEnd = 'expected' | 'refused' | 'answered' | 'unanswered' | 'lost' | 'not_called'
const VERDICTS: Readonly<Record<Verdict['event'], Verdict>> = {
  succeeded: { event: 'succeeded' },
  retry: { event: 'retry', at: 42, reason: 'again' },
  gave_up: { event: 'gave_up', reason: 'enough' },
  lost: { event: 'lost', reason: 'gone' },
  expired: { event: 'expired', reason: 'late' },
  released: { event: 'released' },
  accepted: { event: 'accepted', until: 99 },
  uncallable: { event: 'uncallable', reason: 'nothing to call' },
}

describe('the state machine', () => {
  test('leads out of a final state by an event of a person alone', () => {
    for (const state of FINAL_STATES) {
      for (const event of Object.keys(TRANSITIONS[state])) expect(EVENTS_OF_A_PERSON).toContain(event)
    }
  })

  test('leads a person nowhere while the task is running', () => {
    for (const event of EVENTS_OF_A_PERSON) expect(nextState('running', event, 1)).toBeUndefined()
  })

  test('reaches every state from pending, and a final one from every state', () => {
    for (const state of TASK_STATES) {
      expect(reachableFrom('pending')).toContain(state)
      expect(isFinal(state) || reachableFrom(state).some(isFinal)).toBe(true)
    }
  })

  test.each<[TaskState, Verdict['event'], number, TaskState]>([
    ['running', 'succeeded', 1, 'successful'],
    ['running', 'retry', 1, 'retrying'],
    ['running', 'gave_up', 1, 'failed'],
    ['running', 'lost', 1, 'retrying'],
    ['running', 'released', 1, 'pending'],
    ['running', 'released', 2, 'retrying'],
    ['running', 'expired', 1, 'skipped'],
    ['running', 'expired', 2, 'failed'],
    ['running', 'accepted', 1, 'running'],
    ['running', 'uncallable', 1, 'failed'],
    ['running', 'uncallable', 3, 'failed'],
    ['pending', 'expired', 0, 'skipped'],
    ['retrying', 'expired', 1, 'failed'],
  ])('%s, %s at attempt %d, is %s', (state, event, attempts, next) => {
    expect(applyVerdict(aRunningTask({ state, attempts }), VERDICTS[event], 7).state).toBe(next)
  })

  test('refuses a verdict in a state that it does not belong to', () => {
    for (const state of TASK_STATES) {
      for (const verdict of Object.values(VERDICTS)) {
        if (TRANSITIONS[state][verdict.event]) continue
        expect(() => applyVerdict(aRunningTask({ state }), verdict, 7)).toThrow(`illegal transition: ${verdict.event} while ${state}`)
      }
    }
  })
})

describe('a update', () => {
  const task = aRunningTask({ attempts: 3, lost: 1, error: 'before', awaiting: 'worker' })

  test.each<[Verdict['event'], Partial<ReturnType<typeof applyVerdict>>]>([
    ['succeeded', { dueAt: task.dueAt, attempts: 3, lost: 1, error: null }],
    ['retry', { dueAt: 42, attempts: 3, lost: 1, error: 'again' }],
    ['gave_up', { dueAt: task.dueAt, attempts: 3, lost: 1, error: 'enough' }],
    ['lost', { dueAt: 7, attempts: 3, lost: 2, error: 'gone' }],
    ['expired', { dueAt: task.dueAt, attempts: 2, lost: 1, error: 'late' }],
    ['released', { dueAt: task.dueAt, attempts: 2, lost: 1, error: 'before' }],
    ['accepted', { dueAt: task.dueAt, attempts: 3, lost: 1, error: null }],
    ['uncallable', { dueAt: task.dueAt, attempts: 2, lost: 1, error: 'nothing to call' }],
  ])('of %s says when the next attempt is due, what it counts as, and why', (event, fields) => {
    expect(applyVerdict(task, VERDICTS[event], 7)).toMatchObject(fields)
  })

  test('keeps a lease for an accepted call alone, until its acknowledgement is due', () => {
    const { accepted, ...others } = VERDICTS
    expect(applyVerdict(task, accepted, 7)).toMatchObject({ awaiting: 'ack', leaseUntil: 99 })
    for (const verdict of Object.values(others)) expect(applyVerdict(task, verdict, 7)).toMatchObject({ awaiting: null, leaseUntil: null })
  })

  test('of a waiting task that is out of time gives no attempt back: none was taken', () => {
    expect(applyVerdict({ ...task, state: 'retrying' }, VERDICTS.expired, 7)).toMatchObject({ state: 'failed', attempts: 3, lost: 1 })
  })
})

test('over any sequence of events known results stay within 1 + retry and losses within five, and a run that uses up either has ended', () => {
  const ends = fc.constantFrom<CallEnd>('expected', 'refused', 'answered', 'answered', 'unanswered', 'lost', 'lost', 'not_called')
  const steps = fc.array(fc.record({ waitMs: fc.nat(3 * MINUTE_MS), end: ends }), { minLength: 1, maxLength: 40 })
  const definitions = fc.record({
    callback: fc.constant('http://receiver.test/'),
    retry: fc.nat(3),
    delivery: fc.constantFrom<Delivery>('at_least_once', 'at_most_once'),
    max_delay: fc.integer({ min: 1, max: 400 }),
    ack_timeout: fc.constantFrom(1, 60),
  })
  fc.assert(
    fc.property(steps, definitions, fc.boolean(), (sequence, { ack_timeout, ...called }, isAcknowledged) => {
      const definition = isAcknowledged ? { ...called, ack_timeout } : called
      let now = 0
      const waiting = { state: 'pending', attempts: 0, leaseUntil: null, windowFrom: now, deadline: deadlineOf(now, definition) } as const
      let task: Task = aRunningTask({ definition, ...waiting })
      const seen: CallResult['kind'][] = []
      for (const { waitMs, end } of sequence) {
        if (isFinal(task.state)) break
        now += waitMs
        const result = task.state === 'running' ? acknowledgement(end, now) : callResult(end, now)
        task = afterStep(task, result, now)
        if (task.state !== 'running' && task.attempts > seen.length) seen.push(result.kind)
      }
      const lost = seen.filter((kind) => kind === 'lost').length
      const more = isFinal(task.state) ? 0 : 1
      expect(seen.length - lost + more).toBeLessThanOrEqual(1 + withDefaults(definition).retry)
      expect(lost + more).toBeLessThanOrEqual(5)
      if (definition.delivery === 'at_most_once') expect(seen.length).toBeLessThanOrEqual(1)
      const isWell = task.state === 'successful' || task.state === 'running' || (task.state === 'pending' && seen.length === 0)
      expect(task.error === null).toBe(isWell)
      expect(task.leaseUntil === null).toBe(task.state !== 'running')
    }),
    { numRuns: 1000 },
  )
})

/** What a tick and a call, or an acknowledgement, make of a task. */
function afterStep(task: Task, result: CallResult, now: number): Task {
  if (task.state !== 'running' && now >= task.deadline) return { ...task, ...applyVerdict(task, expiry(task), now) }
  const running = task.state === 'running' ? task : claimed(task)
  return { ...running, ...reportOf(running, result, 'node-1', now, 0.5).update }
}

function claimed(task: Task): Task {
  return { ...task, state: nextState(task.state, 'claimed', task.attempts) ?? 'failed', attempts: task.attempts + 1 }
}

function callResult(end: CallEnd, now: number): CallResult {
  const times = { startedAt: now, endedAt: now + 10 }
  if (end === 'not_called') return { kind: end, reason: 'stopping' }
  if (end === 'unanswered' || end === 'lost') return { kind: end, ...times, error: 'no answer' }
  return { kind: 'answered', ...times, status: { expected: 200, refused: 404, answered: 503 }[end], body: '' }
}

function acknowledgement(end: CallEnd, now: number): CallResult {
  const times = { startedAt: now - 10, endedAt: now }
  if (end === 'lost' || end === 'not_called') return { kind: 'silent', ...times, error: 'not acknowledged' }
  return { kind: 'acknowledged', ...times, success: end === 'expected', retryable: end !== 'refused', detail: null }
}

function reachableFrom(state: TaskState): TaskState[] {
  const reached = new Set<TaskState>([state])
  for (const from of reached) {
    for (const targets of Object.values(TRANSITIONS[from])) targets.forEach((target) => reached.add(target))
  }
  return [...reached]
}

test('waiting, running and final are all the states there are', () => {
  expect([...WAITING_STATES, 'running', ...FINAL_STATES].sort()).toEqual([...TASK_STATES].sort())
})
