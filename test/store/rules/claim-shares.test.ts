import fc from '../../support/fast-check.ts'
import { describe, expect, it } from 'vitest'
import { ClaimShares, byTurn } from '../../../src/store/rules/claim-shares.ts'
import type { LaneShare } from '../../../src/store/rules/claim-shares.ts'
import { NEVER } from '../../../src/store/rules/handler-book.ts'
import type { HandlerCapacity } from '../../../src/store/rules/handler-book.ts'
import { MINUTE } from '../../support/a-task.ts'
import { rooms } from '../contract/support/tasks.ts'

const DUE = MINUTE * 1000

const capacity = fc.integer({ min: 0, max: 9 })
const state = fc.constantFrom('answers' as const, 'new' as const, 'silent' as const)
const hosts = fc.array(fc.record({ free: capacity, state, inflight: capacity }), { minLength: 1, maxLength: 5 })
const handlers = fc.array(fc.record({ free: fc.integer({ min: 0, max: 5 }), hasRate: fc.boolean() }), { maxLength: 3 })
/** A lane is of one of the hosts and of one of the handlers, or of none. */
const lanes = fc.array(fc.record({ host: fc.nat(4), handler: fc.nat(5) }), { minLength: 1, maxLength: 12 })
const limits = fc.record({
  limit: fc.integer({ min: 0, max: 20 }),
  unprovenLimit: fc.integer({ min: 0, max: 8 }),
  silentLimit: fc.integer({ min: 0, max: 8 }),
  capacityOfNewHost: fc.constant(0),
})

const sum = (numbers: Iterable<number>): number => [...numbers].reduce((total, n) => total + n, 0)

describe('the shares of a claim', () => {
  it('keep every limit together, over all rounds, however many tasks each lane has', () => {
    fc.assert(
      fc.property(limits, hosts, handlers, lanes, fc.infiniteStream(capacity), (claim, ofHosts, ofHandlers, given, due) => {
        const shares = new ClaimShares({ now: DUE, hosts: new Map(ofHosts.map((host, n) => [`host-${n}`, host])), ...claim })
        const capacities = ofHandlers.map((handler): HandlerCapacity => ({ ...handler, opensAt: NEVER }))
        for (const [n, lane] of given.entries()) {
          const host = shares.hostShare(`host-${lane.host % ofHosts.length}`)
          const ofHandler = capacities[lane.handler]
          if (shares.isOpen(`lane-${n}`, host))
            shares.add({ lane: `lane-${n}`, host, ...(ofHandler && { handler: `handler-${lane.handler}`, limits: ofHandler }) })
        }
        const found = shares.takeFound()
        const taken = new Map<LaneShare, number>()
        for (let open = found; open.length > 0;) {
          const wishes = shares.wishes(open)
          if (wishes.size === 0) break
          for (const [lane, wish] of wishes) {
            const count = Math.min(wish, due.next().value as number)
            shares.took(lane, wish, count)
            taken.set(lane, (taken.get(lane) ?? 0) + count)
          }
          open = shares.stillOpen(open, wishes)
        }
        expect(sum(taken.values())).toBeLessThanOrEqual(claim.limit)
        const ofLanes = (are: (lane: LaneShare) => boolean): number =>
          sum([...taken].flatMap(([lane, count]) => (are(lane) ? [count] : [])))
        expect(ofLanes(({ host }) => host.state !== 'answers')).toBeLessThanOrEqual(claim.unprovenLimit)
        expect(ofLanes(({ host }) => host.state === 'silent')).toBeLessThanOrEqual(claim.silentLimit)
        for (const [n, { free }] of ofHosts.entries()) {
          const host = shares.hostShare(`host-${n}`)
          expect(ofLanes((lane) => lane.host === host)).toBeLessThanOrEqual(free)
        }
        for (const [n, { free }] of ofHandlers.entries()) {
          expect(ofLanes(({ handler }) => handler === `handler-${n}`)).toBeLessThanOrEqual(free)
        }
      }),
    )
  })

  it('leave no slot unused while a lane with capacity has tasks', () => {
    const shares = new ClaimShares({
      now: DUE,
      hosts: rooms({ few: 9, many: 9 }),
      limit: 10,
      unprovenLimit: 0,
      silentLimit: 0,
      capacityOfNewHost: 0,
    })
    for (const lane of ['few', 'many']) shares.add({ lane, host: shares.hostShare(lane) })
    const stored = new Map([
      ['few', 2],
      ['many', 20],
    ])
    const taken = new Map<string, number>()
    for (let open = shares.takeFound(); open.length > 0;) {
      const wishes = shares.wishes(open)
      if (wishes.size === 0) break
      for (const [lane, wish] of wishes) {
        const has = (stored.get(lane.lane) ?? 0) - (taken.get(lane.lane) ?? 0)
        shares.took(lane, wish, Math.min(wish, has))
        taken.set(lane.lane, (taken.get(lane.lane) ?? 0) + Math.min(wish, has))
      }
      open = shares.stillOpen(open, wishes)
    }
    expect(Object.fromEntries(taken)).toEqual({ few: 2, many: 8 })
    expect([...shares.emptied]).toEqual(['few'])
    expect(shares.goesOn).toBe(false)
  })

  it('close a lane whose handler has no capacity, and tell from when on it may have some', () => {
    const shares = new ClaimShares({ now: DUE, hosts: new Map(), limit: 10, unprovenLimit: 10, silentLimit: 0, capacityOfNewHost: 3 })
    const host = shares.hostShare('new')
    shares.add({ lane: 'full@new', host, handler: 'full', limits: { free: 0, opensAt: DUE + 5000, hasRate: true } })
    expect(shares.takeFound()).toEqual([])
    expect([...shares.closed]).toEqual([['full@new', DUE + 5000]])
    expect(shares.isOpen('full@new', host)).toBe(false)
  })

  it('come in turn: idle hosts, then lanes served longest ago, then those due longest', () => {
    const lane = (name: string, inflight: number, servedAt: number, dueAt: number) => ({
      name,
      host: { free: 1, state: 'answers' as const, inflight, budgets: [] },
      servedAt,
      dueAt,
    })
    const given = [lane('busy', 2, 0, 1), lane('served', 0, 7, 1), lane('later', 0, 0, 9), lane('first', 0, 0, 4)]
    expect(given.sort(byTurn).map(({ name }) => name)).toEqual(['first', 'later', 'served', 'busy'])
  })
})
