import { describe, expect, test } from 'vitest'
import { GRACE_MS, accountFor } from '../../src/domain/ledger/account.ts'
import type { LedgerTask } from '../../src/domain/ledger/account.ts'
import type { Attempt } from '../../src/domain/task/attempt.ts'
import { MINUTE } from '../support/a-task.ts'

const DUE = MINUTE * 1000
const DEADLINE = DUE + 600_000
const NOW = DEADLINE + 3_600_000

function anAttempt(fields: Partial<Attempt> = {}): Attempt {
  return {
    ...{ runId: 'run-2', number: 1, dueAt: DUE, startedAt: DUE + 5, durationMs: 20, deadline: DEADLINE, status: 200, error: null },
    ...{ outcome: 'successful', attemptsLeft: 1, node: 'node-1', ...fields },
  }
}

const failed = (fields: Partial<Attempt> = {}): Attempt =>
  anAttempt({ status: 500, error: 'answered 500', outcome: 'failed', attemptsLeft: 0, ...fields })
const retried = (fields: Partial<Attempt> = {}): Attempt => failed({ outcome: 'retrying', attemptsLeft: 1, ...fields })
const lost = (fields: Partial<Attempt> = {}): Attempt =>
  failed({ status: null, deadline: null, outcome: 'lost', attemptsLeft: 1, ...fields })

/** A successful one, called once inside its window. */
function anEntry(fields: Partial<LedgerTask> = {}): LedgerTask {
  return {
    ...{ name: 'a-task', triggerAt: MINUTE, state: 'successful', runId: 'run-2', windowFrom: DUE, deadline: DEADLINE, leaseUntil: null },
    ...{ error: null, attempts: fields.history?.length ?? 1, history: [anAttempt()], ...fields },
  }
}

/** Of a task with one run. */
function standingOf(fields: Partial<LedgerTask>, now = NOW): string {
  const accounts = accountFor(anEntry(fields), now)
  expect(accounts).toHaveLength(1)
  const { standing, reason, breaches } = accounts[0] ?? { standing: '', reason: null, breaches: [] }
  return [standing, ...(reason === null ? [] : [reason]), ...breaches.map(({ promise, detail }) => `${promise}: ${detail}`)].join(' | ')
}

describe('a run', () => {
  test.each([
    ['successful', {}, 'on_time'],
    ['successful after a retry', { history: [retried(), anAttempt({ number: 2 })] }, 'on_time'],
    ['failed', { state: 'failed', error: 'answered 500', history: [failed()] }, 'failed | answered 500'],
    ['failed without a call', { state: 'failed', error: 'no callback', history: [] }, 'failed | no callback'],
    ['skipped', { state: 'skipped', error: 'out of time', history: [] }, 'skipped | out of time'],
  ] as const)('that is %s is accounted for', (_, fields, standing) => {
    expect(standingOf(fields)).toBe(standing)
  })

  test('waits while it has time, and then was missed', () => {
    for (const state of ['pending', 'retrying'] as const) {
      const fields = { state, history: state === 'pending' ? [] : [retried()] }
      expect(standingOf(fields, DUE - 1)).toBe('not_due')
      expect(standingOf(fields, DUE)).toBe('waiting')
      expect(standingOf(fields, DEADLINE + GRACE_MS - 1)).toBe('waiting')
      expect(standingOf(fields, DEADLINE + GRACE_MS)).toMatch(/^missed \| missed: still (pending|retrying): its window closed at 2027-/)
    }
  })

  test('that a person runs before its minute is due from then on', () => {
    expect(standingOf({ state: 'pending', windowFrom: DUE - 9000, history: [] }, DUE - 9000)).toBe('waiting')
  })

  test('runs as long as it is leased, and then was missed', () => {
    const fields = { state: 'running', leaseUntil: NOW, attempts: 2, history: [retried()] } as const
    expect(standingOf(fields, NOW + GRACE_MS - 1)).toBe('waiting')
    expect(standingOf(fields, NOW + GRACE_MS)).toMatch(/^missed \| missed: still running: its lease was over at /)
    expect(standingOf({ ...fields, history: [retried(), anAttempt({ number: 2, outcome: 'accepted' })] })).toBe('waiting')
  })

  test('that has an attempt of which there is no record was missed', () => {
    expect(standingOf({ attempts: 1, history: [] })).toBe('missed | missed: 1 of its 1 attempts are not recorded')
    expect(standingOf({ attempts: 0, history: [] })).toBe('missed | missed: successful, but no attempt is recorded')
    expect(standingOf({ state: 'failed', attempts: 3, history: [retried({ number: 3 })] })).toContain(
      '2 of its 3 attempts are not recorded',
    )
    expect(standingOf({ state: 'running', leaseUntil: NOW, attempts: 3, history: [retried()] })).toContain('missed')
  })

  test('was late where a call was made at the end of its window or after it', () => {
    expect(standingOf({ history: [anAttempt({ startedAt: DEADLINE - 1 })] })).toBe('on_time')
    expect(standingOf({ history: [anAttempt({ startedAt: DEADLINE })] })).toBe(
      'late | late: attempt 1 started at 2027-01-15T08:10:00.000Z, its window closed at 2027-01-15T08:10:00.000Z',
    )
    const late = failed({ startedAt: DEADLINE + 1 })
    expect(standingOf({ state: 'failed', error: 'why', history: [late] })).toMatch(/^failed \| why \| late: attempt 1 /)
    expect(standingOf({ history: [anAttempt({ startedAt: DEADLINE + 1, deadline: null })] })).toBe('on_time')
  })

  test('was early where a call was made before it was due', () => {
    expect(standingOf({ history: [anAttempt({ startedAt: DUE })] })).toBe('on_time')
    expect(standingOf({ history: [anAttempt({ startedAt: DUE - 1 })] })).toBe(
      'early | early: attempt 1 started at 2027-01-15T07:59:59.999Z, it was due at 2027-01-15T08:00:00.000Z',
    )
    expect(standingOf({ history: [lost({ startedAt: DUE - 1 }), anAttempt({ number: 2 })] })).toBe('on_time')
  })

  test('is called no more once an attempt has ended it', () => {
    expect(standingOf({ history: [anAttempt(), anAttempt({ number: 2 })] })).toContain('doubled: attempt 2 started at')
    expect(standingOf({ history: [failed(), anAttempt({ number: 2 })] })).toContain('after attempt 1 had ended the run')
  })

  test('has no attempt after one that none might follow, by what its task and handler said then', () => {
    const history = [retried(), lost({ number: 2 }), lost({ number: 3 }), anAttempt({ number: 4, attemptsLeft: 0 })]
    expect(standingOf({ history })).toBe('on_time')
    expect(standingOf({ history: [retried({ attemptsLeft: 0 }), anAttempt({ number: 2 })] })).toBe(
      'on_time | doubled: attempt 2 started at 2027-01-15T08:00:00.005Z, after attempt 1, which none might follow',
    )
    expect(standingOf({ history: [lost({ attemptsLeft: 0 }), anAttempt({ number: 2 })] })).toContain('doubled')
    const ofOlderPrograms = history.map((attempt) => ({ ...attempt, outcome: null, dueAt: null, deadline: null, attemptsLeft: null }))
    expect(standingOf({ history: ofOlderPrograms })).toBe('on_time')
  })

  test('that has ended in another way than its last attempt says was missed', () => {
    expect(standingOf({ history: [retried()] })).toBe('missed | missed: successful, but its last attempt is recorded as retrying')
    expect(standingOf({ state: 'failed', error: 'why', history: [anAttempt()] })).toContain(
      'failed, but its last attempt is recorded as successful',
    )
    expect(standingOf({ state: 'failed', error: 'out of time', history: [retried()] })).toBe('failed | out of time')
    expect(standingOf({ history: [anAttempt({ outcome: 'accepted' })] })).toBe('on_time')
  })
})

describe('a run that has another one after it', () => {
  test.each([
    ['successful', anAttempt({ runId: 'run-1' }), { standing: 'on_time', reason: null }],
    ['failed', failed({ runId: 'run-1' }), { standing: 'failed', reason: 'answered 500' }],
    ['removed while it waited', retried({ runId: 'run-1' }), { standing: 'removed', reason: null }],
    ['removed after a loss', lost({ runId: 'run-1' }), { standing: 'removed', reason: null }],
    ['successful for an older program', anAttempt({ runId: 'run-1', outcome: null }), { standing: 'on_time', reason: null }],
    ['accepted, and ended by an older program', anAttempt({ runId: 'run-1', outcome: 'accepted' }), { standing: 'on_time', reason: null }],
    ['failed for an older program', failed({ runId: 'run-1', outcome: null }), { standing: 'failed', reason: 'answered 500' }],
  ] as const)('was %s by its last attempt', (_, attempt, account) => {
    const [present, past] = accountFor(anEntry({ attempts: 1, history: [attempt, anAttempt()] }), NOW)
    expect(present).toMatchObject({ standing: 'on_time', breaches: [] })
    expect(past).toEqual({ ...account, breaches: [] })
  })

  test('is held to its windows and to its end, and named by its own id', () => {
    const history = [anAttempt({ runId: 'run-1', startedAt: DEADLINE }), retried({ runId: 'run-1', number: 2 }), anAttempt()]
    const [, past] = accountFor(anEntry({ attempts: 1, history }), NOW)
    expect(past?.standing).toBe('removed')
    expect(past?.breaches.map(({ promise, run }) => [promise, run?.id, run?.key.name])).toEqual([
      ['late', 'run-1', 'a-task'],
      ['doubled', 'run-1', 'a-task'],
    ])
  })
})
