/** What must hold whenever a node has come to rest: counts and events match the rows, and nothing that was due is left lying. */
import { LEASE_MS, LOOK_EVERY_MS } from '../../src/scheduler/leases.ts'
import { isEnded, isWaiting } from './entry.ts'
import type { Entry } from './entry.ts'
import { Violation } from './model.ts'
import type { Standing } from './network.ts'
import type { NodeSettings } from './node.ts'
import type { RuleContext } from './rule-context.ts'

/** A pass is made each minute at the latest. */
const PASS_MS = 65_000
/** A node that stood still looks only once it has seen the store for as long as a lease. */
const FOUND_MS = LEASE_MS + 3 * LOOK_EVERY_MS
const ON_TIME_MS = 5000
/** So long after a call that could not be begun a node is short. */
const SHORT_MS = 5000
/** A call that hangs leaves its slot after so long. */
const HUNG_MS = 200
/** How much of the open calls, and of the slots, hosts may have at the most. */
const PARTS: Readonly<Record<Standing, number>> = { answers: 1, new: 7 / 8, silent: 3 / 4 }

/** @throws Violation where the store says that there are more, or fewer, entries in a state than there are */
export function checkCounts(counts: ReadonlyMap<string, number>, { entries }: RuleContext): void {
  const real = new Map<string, number>()
  for (const { state, isErrorCallback } of entries.values()) if (!isErrorCallback) real.set(state, (real.get(state) ?? 0) + 1)
  for (const [state, count] of counts) {
    if (count !== (real.get(state) ?? 0))
      throw new Violation('the counts match the rows', `${count} are ${state}, not ${real.get(state) ?? 0}`)
  }
}

/** Of a node that has been well for a while. @throws Violation where something has been forgotten */
export function checkNothingLeft(context: RuleContext, settings: NodeSettings): void {
  for (const entry of context.entries.values()) {
    if (!isEnded(entry)) checkInTime(entry, context)
    if (isWaiting(entry)) checkNotForgotten(entry, context, settings)
  }
}

function checkInTime(entry: Entry, { model, time: { now }, network }: RuleContext): void {
  const { most } = model.delaysOf(entry)
  const closes = Math.max(...model.windowsOf(entry).map(({ from }) => from)) + most
  if (isWaiting(entry) && closes < now - PASS_MS)
    throw new Violation('every task ends', `${entry.key} is ${entry.state}, its window closed ${now - closes} ms ago`)
  const isAtWork = entry.awaiting === null && network.awaited() > 0
  const overSince = now - (entry.leaseUntil ?? now)
  if (entry.state === 'running' && !isAtWork && overSince > FOUND_MS)
    throw new Violation('what is lost is found', `${entry.key} runs, its lease was over ${overSince} ms ago`)
}

/** Where limits may hold it back, nothing is said. */
function checkNotForgotten(entry: Entry, context: RuleContext, settings: NodeSettings): void {
  const { model, time, network, entries } = context
  // A node that is short of descriptors makes no more calls.
  const late = Math.min(time.now - entry.dueAt, network.amplyFor - SHORT_MS)
  if (late < ON_TIME_MS) return
  const group = model.groupOf(entry.name)
  const handler = group === undefined ? undefined : model.handlers.get(group)
  if (handler?.paused || handler?.pull || handler?.rate !== undefined) return
  const running = [...entries.values()].filter(({ state }) => state === 'running')
  const ofGroup = running.filter(({ name }) => model.groupOf(name) === group).length
  if (group !== undefined && ofGroup >= (handler?.concurrency ?? Infinity)) return
  const host = hostOf(entry, context)
  // A call may be under way whose task has ended by an acknowledgement.
  if (host !== undefined && network.inflightTo(host) > 0) return
  if (running.some((other) => other.awaiting === null && hostOf(other, context) === host)) return
  if (!hasCallsLeft(host, context, settings) || late < ON_TIME_MS + mostTurnsMs(context, settings)) return
  throw new Violation('what is due is called', `${entry.key} has been due for ${late} ms`)
}

/** Whether a node has calls left for a host. Silent hosts leave some of the open calls to the others, and new ones to those that answer. */
function hasCallsLeft(host: string | undefined, { network }: RuleContext, settings: NodeSettings): boolean {
  return network.nodes().some((node) => {
    const standing = host === undefined ? 'new' : network.standingOf(node, host)
    return network.awaited(node) < mostOpen(standing, settings)
  })
}

/** How many calls may be open to hosts of a standing together. */
export function mostOpen(standing: Standing, { maxOpenCalls }: Pick<NodeSettings, 'maxOpenCalls'>): number {
  return Math.max(1, Math.floor(maxOpenCalls * PARTS[standing]))
}

/** How long it takes until each host has had its turn: a call that hangs leaves its slot. */
function mostTurnsMs(context: RuleContext, { maxInflight }: NodeSettings): number {
  const open = [...context.entries.values()].filter((entry) => !isEnded(entry))
  const hosts = new Set(open.map((entry) => hostOf(entry, context)))
  return Math.ceil(hosts.size / Math.max(1, Math.floor(maxInflight * PARTS.silent))) * HUNG_MS
}

function hostOf(entry: Entry, { model }: RuleContext): string | undefined {
  const url = model.urlOf(entry)
  return url === undefined ? undefined : new URL(url).host
}
