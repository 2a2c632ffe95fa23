/** What may be claimed: what is due, in time, and within the limits of its handler. */
import type { Entry } from './entry.ts'
import { Violation } from './model.ts'
import type { RuleContext } from './rule-context.ts'

const RATE_MS = 60_000

/** @throws Violation where a task was claimed that might not be */
export function checkClaim(before: Entry, after: Entry, context: RuleContext): void {
  const { time, isUnsteady } = context
  if (after.unreadable !== undefined) throw new Violation('what cannot be read is not claimed', after.key)
  if (after.attempts !== before.attempts + 1)
    throw new Violation('an attempt is counted when it is claimed', `${after.key}: ${before.attempts}, then ${after.attempts}`)
  if (!context.isAlive(after.claimedBy)) throw new Violation('a claim is that of a living node', `${after.key} by ${after.claimedBy ?? ''}`)
  const isDue = isUnsteady || context.model.isCommanded(after, 'run', 'put') ? before.dueAt <= time.latest : before.dueAt <= time.now
  if (!isDue) throw new Violation('nothing is claimed before its time', `${after.key}, due ${before.dueAt - time.now} ms later`)
  if (!isUnsteady && !context.model.mayCallAt(after, time.now)) throw new Violation('nothing is claimed out of its window', after.key)
  checkLimits(after, context)
}

/** The limits of a handler hold for what starts; what ran before they were set goes on. */
function checkLimits(entry: Entry, context: RuleContext): void {
  const { model } = context
  const group = model.groupOf(entry.name)
  if (group === undefined || group !== model.groupOf(entry.name, model.handlersBefore)) return
  const [handler, before] = [model.handlers.get(group), model.handlersBefore.get(group)]
  // Both may have been in force when this was claimed.
  if (handler === undefined || handler !== before) return
  if (handler.paused) throw new Violation('nothing of a paused handler starts', entry.key)
  if ((entry.awaiting === 'worker') !== (handler.pull ?? false))
    throw new Violation('what is pulled is not called, and the reverse', entry.key)
  checkConcurrency(group, handler.concurrency, context)
  checkRate(group, handler.rate, context)
}

function checkConcurrency(group: string, concurrency = Infinity, { entries, model }: RuleContext): void {
  if (concurrency === Infinity) return
  const running = [...entries.values()].filter(({ state, name }) => state === 'running' && model.groupOf(name) === group).length
  if (running > concurrency)
    throw new Violation('no more run than the concurrency allows', `${running} of ${group}, which allows ${concurrency}`)
}

/** Starts that were made while the handler had no rate do not count. */
function checkRate(group: string, rate: number | undefined, { starts, time, isUnsteady }: RuleContext): void {
  if (rate === undefined) {
    starts.delete(group)
    return
  }
  const all = [...(starts.get(group) ?? []), time.now]
  starts.set(group, all)
  const recent = all.filter((at) => Math.abs(at - time.now) < RATE_MS)
  if (recent.length > rate && !isUnsteady)
    throw new Violation('no more start in a minute than the rate allows', `${recent.length} of ${group}, which allows ${rate}`)
}
