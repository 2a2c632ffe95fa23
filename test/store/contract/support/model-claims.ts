/** The steps of the model-based run that a node takes: claim, record, renew, rescue, expire, and the passing of time. */
import fc from '../../../support/fast-check.ts'
import { expect } from 'vitest'
import { reportOf } from '../../../../src/domain/attempt/attempt-report.ts'
import type { Task } from '../../../../src/domain/task/task.ts'
import type { CallResult } from '../../../../src/domain/attempt/verdict.ts'
import type { Claim, ClaimResult, HostCapacity } from '../../../../src/store/store.ts'
import { keyOf, LEASE_MS } from './tasks.ts'
import type { Model, NamedStep } from '../model.ts'

export const LANES = ['a.test', 'b.test', 'c.test']
const NODES = ['node-1', 'node-2']
/** Those with more limits come later. */
const STATES: readonly HostCapacity['state'][] = ['answers', 'new', 'silent']
const RESULTS = ['expected', 'refused', 'transient', 'transient', 'unanswered', 'lost', 'late', 'stopping'] as const

const room: fc.Arbitrary<HostCapacity> = fc.record({
  free: fc.constantFrom(-1, 0, 1, 2, 3, 4),
  state: fc.constantFrom(...STATES),
  inflight: fc.nat(3),
})
const claims = fc
  .record({
    node: fc.constantFrom(...NODES),
    limit: fc.constantFrom(0, 1, 2, 3, 5, 8, 8, 8),
    hosts: fc.array(fc.tuple(fc.constantFrom(...LANES), room), { maxLength: 2 }).map((hosts) => new Map(hosts)),
    capacityOfNewHost: fc.integer({ min: 1, max: 5 }),
    unprovenLimit: fc.constantFrom(-1, 0, 1, 3, 9, 9, 9, 9),
    silentLimit: fc.constantFrom(-1, 0, 1, 3, 9, 9, 9, 9),
  })
  .map((limits): NamedStep => {
    const text = `claim ${JSON.stringify({ ...limits, hosts: [...limits.hosts] })}`
    const step: NamedStep['step'] = async (model, store) => {
      const claim = { ...limits, now: model.now, leaseUntil: model.now + LEASE_MS }
      const result = await store.claimDue(claim)
      expectFairClaim(model, claim, result.tasks)
      for (const task of result.tasks) {
        const before = model.rows.get(keyOf(task)) as Task
        const { now, node, leaseUntil } = claim
        expect(task).toEqual({ ...before, state: 'running', attempts: before.attempts + 1, claimedBy: node, leaseUntil, updated: now })
        model.rows.set(keyOf(task), task)
        model.claimed.push(task)
      }
      expectEarlyEnough(model, claim, result)
    }
    return { text, step }
  })

const records = fc
  .array(
    fc.record({
      pick: fc.constantFrom(0, 0, 0, 1, 1, 2, 3, 5, 8),
      result: fc.constantFrom(...RESULTS),
      random: fc.constantFrom(0, 0.5, 0.99),
    }),
    { minLength: 1, maxLength: 4 },
  )
  .map((writes): NamedStep => {
    const step: NamedStep['step'] = async (model, store) => {
      const outcomes = writes.flatMap(({ pick, result, random }) => {
        // Counted from the newest claim: most results are of claims that still stand.
        const task = model.claimed.at(-1 - pick)
        return task ? [reportOf(task, callResult(result, model.now), task.claimedBy ?? '', model.now, random)] : []
      })
      const expected = outcomes.map(({ task, update, responseStatus, responseBody, attempt }) => {
        const row = model.rows.get(keyOf(task))
        if (row?.state !== 'running' || row.runId !== task.runId || row.attempts !== task.attempts) return false
        const executedAt = attempt ? attempt.startedAt + attempt.durationMs : row.executedAt
        settleRow(model, { ...row, ...update, responseStatus, responseBody, executedAt, updated: model.now })
        if (attempt) addAttempt(model, row)
        return true
      })
      expect(await store.record(outcomes)).toEqual(expected)
    }
    return { text: `record ${JSON.stringify(writes)}`, step }
  })

const renewals = fc.nat(5).map((pick): NamedStep => {
  const step: NamedStep['step'] = async (model, store) => {
    const task = model.claimed.at(-1 - pick)
    if (task === undefined) return
    const leaseUntil = model.now + LEASE_MS
    await store.renew([task], { leaseUntil })
    const row = model.rows.get(keyOf(task))
    if (row?.state === 'running' && row.runId === task.runId && row.attempts === task.attempts) settleRow(model, { ...row, leaseUntil })
  }
  return { text: `renew ${pick}`, step }
})

const rescues = fc
  .record({ onlyNode: fc.option(fc.constantFrom(...NODES), { nil: undefined, freq: 1 }), limit: fc.integer({ min: 1, max: 6 }) })
  .map(({ onlyNode, limit }): NamedStep => {
    const step: NamedStep['step'] = async (model, store) => {
      const isLost = (task: Task) =>
        task.state === 'running' && (onlyNode === undefined ? (task.leaseUntil ?? 0) <= model.now : task.claimedBy !== onlyNode)
      const lost = [...model.rows.values()].filter(isLost)
      const rescued = await store.rescue({ now: model.now, limit, ...(onlyNode !== undefined && { onlyNode }) })
      expect(rescued).toHaveLength(Math.min(limit, lost.length))
      for (const task of rescued) {
        const before = model.rows.get(keyOf(task)) as Task
        expect(isLost(before)).toBe(true)
        const isEnd = before.definition.delivery === 'at_most_once' || before.lost === 4
        const moved = isEnd ? ({ state: 'failed' } as const) : ({ state: 'retrying', dueAt: model.now, lost: before.lost + 1 } as const)
        const error = expect.stringContaining('the node was lost') as string
        // An attempt never ends before it began, also where the clock was set back.
        const executedAt = Math.max(before.updated, model.now)
        const settled = { error, leaseUntil: null, executedAt, responseStatus: null, responseBody: null, updated: model.now }
        expect(task).toEqual({ ...before, ...moved, ...settled })
        settleRow(model, task)
        addAttempt(model, before)
      }
    }
    return { text: `rescue ${onlyNode ?? 'leases'} ${limit}`, step }
  })

const expiries = fc.integer({ min: 1, max: 6 }).map((limit): NamedStep => {
  const step: NamedStep['step'] = async (model, store) => {
    const late = [...model.rows.values()].filter((task) => isWaiting(task) && task.deadline <= model.now)
    const { tasks: expired, more } = await store.expire({ now: model.now, limit })
    expect(expired).toHaveLength(Math.min(limit, late.length))
    if (late.length !== limit) expect(more).toBe(late.length > limit)
    for (const task of expired) {
      const before = model.rows.get(keyOf(task)) as Task
      const state = before.state === 'pending' ? 'skipped' : 'failed'
      expect(late).toContain(before)
      expect(task).toEqual({ ...before, state, error: expect.stringContaining('out of time') as string, updated: model.now })
      settleRow(model, task)
    }
  }
  return { text: `expire ${limit}`, step }
})

const passing = fc.constantFrom(0, 1, 500, 30_000, 60_000, 60_000, 120_000, 600_000).map((ms): NamedStep => {
  const step: NamedStep['step'] = (model) => {
    model.now += ms
    return Promise.resolve()
  }
  return { text: `wait ${ms}`, step }
})

const clockSetBack = fc.constantFrom(1, 45_000).map((ms): NamedStep => {
  const step: NamedStep['step'] = (model) => {
    model.now -= ms
    return Promise.resolve()
  }
  return { text: `clock back ${ms}`, step }
})

export const CLAIM_COMMANDS = [
  claims,
  claims,
  claims,
  claims,
  records,
  records,
  records,
  records,
  renewals,
  rescues,
  expiries,
  passing,
  passing,
  clockSetBack,
]

export function isWaiting({ state }: Task): boolean {
  return state === 'pending' || state === 'retrying'
}

/** Every limit holds, and no place stays empty that a due task could have had. */
function expectFairClaim(model: Model, claim: Claim, tasks: readonly Task[]): void {
  const isDue = (task: Task) => isWaiting(task) && task.dueAt <= claim.now && task.deadline > claim.now
  const due = [...model.rows.values()].filter(isDue)
  const shares = LANES.map((lane) => {
    const { free: places, state } = roomOf(claim, lane)
    const claimed = tasks.filter((task) => task.host === lane)
    const waiting = due.filter((task) => task.host === lane)
    const oldest = waiting.map(({ dueAt }) => dueAt).sort((a, b) => a - b)
    expect(claimed.map(({ dueAt }) => dueAt)).toEqual(oldest.slice(0, claimed.length))
    return { state, count: claimed.length, most: Math.max(0, Math.min(places, waiting.length)) }
  })
  for (const { count, most } of shares) expect(count).toBeLessThanOrEqual(most)
  const { unproven, silent } = leftOf(claim, tasks)
  expect(unproven).toBeGreaterThanOrEqual(Math.min(0, claim.unprovenLimit))
  expect(silent).toBeGreaterThanOrEqual(Math.min(0, claim.silentLimit))
  expect(tasks.length).toBeLessThanOrEqual(claim.limit)
  expect(new Set(tasks.map(keyOf)).size).toBe(tasks.length)
  expect(tasks.map(({ dueAt }) => dueAt)).toEqual(tasks.map(({ dueAt }) => dueAt).sort((a, b) => a - b))
  for (const share of shares.filter(({ count, most }) => count < most)) {
    expect(tasks.length === claim.limit || isUsedUp(claim, tasks, share.state)).toBe(true)
    // Silent hosts have a limit of their own, and new ones have one together with them. So the others may have more.
    const others = shares.filter(({ state }) => STATES.indexOf(state) >= STATES.indexOf(share.state))
    for (const { count } of others) expect(count).toBeLessThanOrEqual(share.count + 1)
  }
}

function roomOf(claim: Claim, lane: string): Pick<HostCapacity, 'free' | 'state'> {
  return claim.hosts.get(lane) ?? { free: claim.capacityOfNewHost, state: 'new' }
}

/** Of the limit of new and silent hosts, and of that of silent ones. */
function leftOf(claim: Claim, tasks: readonly Task[]): { unproven: number; silent: number } {
  const states = tasks.map(({ host }) => roomOf(claim, host).state)
  const silent = states.filter((state) => state === 'silent').length
  const fresh = states.filter((state) => state === 'new').length
  return { unproven: claim.unprovenLimit - silent - fresh, silent: claim.silentLimit - silent }
}

function isUsedUp(claim: Claim, tasks: readonly Task[], state: HostCapacity['state']): boolean {
  const { unproven, silent } = leftOf(claim, tasks)
  return (state !== 'answers' && unproven <= 0) || (state === 'silent' && silent <= 0)
}

/** Where there is room left, what is due next is not overslept; what is out of time already is never due. */
function expectEarlyEnough(model: Model, claim: Claim, { tasks, nextDue }: ClaimResult): void {
  if (nextDue !== undefined) expect(nextDue).toBeGreaterThan(model.now)
  for (const lane of LANES) {
    const { free: places, state } = roomOf(claim, lane)
    const hasRoom = tasks.filter((task) => task.host === lane).length < places && !isUsedUp(claim, tasks, state)
    const isNext = (task: Task) => isWaiting(task) && task.host === lane && task.dueAt > model.now && task.deadline > model.now
    const waiting = [...model.rows.values()].filter(isNext)
    if (!hasRoom || tasks.length >= claim.limit || waiting.length === 0) continue
    expect(nextDue ?? Infinity).toBeLessThanOrEqual(Math.min(...waiting.map(({ dueAt }) => dueAt)))
  }
}

function callResult(kind: (typeof RESULTS)[number], now: number): CallResult {
  const times = { startedAt: now - 9, endedAt: now - 2 }
  if (kind === 'late' || kind === 'stopping') return { kind: 'not_called', reason: kind }
  if (kind === 'unanswered' || kind === 'lost') return { kind, ...times, error: kind }
  return { kind: 'answered', ...times, status: { expected: 200, refused: 404, transient: 503 }[kind], body: kind }
}

function settleRow(model: Model, task: Task): void {
  model.rows.set(keyOf(task), task)
}

function addAttempt(model: Model, { runId, attempts, ...key }: Task): void {
  model.attempts.set(keyOf(key), [...(model.attempts.get(keyOf(key)) ?? []), `${runId} ${attempts}`])
}
