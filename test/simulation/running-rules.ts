/** What may become of a running task: only what its call, its worker or its lease has come to. */
import { isExpectedStatus, isTheLastAnswer } from './receivers-view.ts'
import type { Entry } from './entry.ts'
import { Violation } from './model.ts'
import type { RuleContext } from './rule-context.ts'

/** A retry waits no longer than this, unless the receiver asks for more. */
const LONGEST_BACKOFF_MS = 5 * 60_000
const LONGEST_RETRY_AFTER_MS = 90_000
const MOST_LOST = 5

/** What the attempt of a running task has come to, as far as the world knows. */
export type Ending = 'succeeded' | 'failed' | 'refused' | 'accepted' | 'lost' | 'not called' | 'unknown'

/** @throws Violation where it ended, or went on, in a way that nothing explains */
export function checkRunning(before: Entry, after: Entry, context: RuleContext): void {
  if (isOvertaken(before, after, context)) context.overtaken.add(`${before.runId} ${before.attempts}`)
  if (after.state === 'running' && after.attempts === before.attempts) return
  const endings = endingsOf(before, context)
  const is = (...wanted: Ending[]): boolean => wanted.some((ending) => endings.includes(ending))
  if (after.attempts > before.attempts) {
    if (!is('lost')) throw new Violation('what runs is not claimed again', after.key)
    return
  }
  const isReleased = after.attempts < before.attempts
  if (isReleased && !is('not called')) throw new Violation('an attempt that was made counts', `${before.key}, attempt ${before.attempts}`)
  if (after.state === 'successful' && !is('succeeded')) throw new Violation('what succeeds has been answered as expected', after.key)
  if (after.lost > before.lost && !is('lost')) throw new Violation('an attempt is lost by a crash or a lost answer', after.key)
  if (after.state === 'retrying' && !isReleased && after.lost === before.lost && !is('failed'))
    throw new Violation(
      'a lost attempt uses up no retry, and one that went well is not retried',
      `${after.key}, which is ${endings.join(' or ')}`,
    )
  if (after.state === 'retrying' && is('failed') && !is('lost')) checkWait(before, after, context)
  if (after.state === 'failed' && !isReleased) checkFailed(before, after, is, context)
}

/**
 * Who acknowledges without the id of the run may speak of an earlier one: its attempt of the same number is acknowledged before its call was
 * made, while that waits for its turn in the node.
 */
function isOvertaken(before: Entry, after: Entry, { network, model }: RuleContext): boolean {
  const isTaken =
    after.attempts === before.attempts && after.lost === before.lost && (after.state !== 'running' || after.awaiting === 'ack')
  const wasGiven = before.awaiting === null && !network.wasNotCalled(before.runId, before.attempts)
  return isTaken && wasGiven && model.isCommanded(before, 'ack') && network.callOf(before.runId, before.attempts) === undefined
}

/** The wait before a retry doubles from one second to five minutes, less up to a half; the receiver may ask for a longer one. */
function checkWait(before: Entry, after: Entry, { network, time, isUnsteady, isWell, model }: RuleContext): void {
  // A result that could not be saved at once was judged when it came.
  if (isUnsteady || !isWell || after.awaiting !== null || model.isCommanded(after, 'ack', 'run')) return
  const result = network.callOf(before.runId, before.attempts)?.result
  const wanted = result?.kind === 'answered' && result.retryAfter !== undefined ? Number(result.retryAfter) * 1000 : 0
  const backoff = Math.min(1000 * 2 ** (after.attempts - after.lost - 1), LONGEST_BACKOFF_MS)
  const most = Math.max(wanted, backoff)
  const wait = after.dueAt - time.now
  if (wait > most || wait < Math.max(wanted, Math.floor(backoff / 2)))
    throw new Violation('a retry waits as long as it should', `${after.key}: ${wait} ms, not ${most}`)
}

function checkFailed(before: Entry, after: Entry, is: (...wanted: Ending[]) => boolean, { model, time }: RuleContext): void {
  if (is('refused')) return
  if (is('lost') && (model.isAtMostOnce(after) || before.lost + 1 >= MOST_LOST)) return
  const isUsedUp = after.attempts - after.lost >= 1 + model.retryOf(after)
  if (is('failed') && isUsedUp) return
  const { least } = model.delaysOf(after)
  const longest = Math.max(LONGEST_BACKOFF_MS, LONGEST_RETRY_AFTER_MS)
  const isNoTimeLeft = model.windowsOf(after).some(({ from }) => time.latest + longest >= from + least)
  const isOver = model.windowsOf(after).some(({ from }) => time.latest >= from + least)
  if ((is('failed') && isNoTimeLeft) || (is('lost') && isOver)) return
  throw new Violation('a task fails when its attempts or its time are used up', `${after.key}: ${after.error ?? ''}`)
}

/** What the present attempt of a running task may have come to. */
export function endingsOf(entry: Entry, { network, model, time, isAlive, isWell }: RuleContext): Ending[] {
  const endings: Ending[] = []
  const call = network.callOf(entry.runId, entry.attempts)
  const result = call?.result
  if (result?.kind === 'answered') {
    if (isExpectedStatus(result.status, entry.definition.expected_http_status))
      endings.push(entry.definition.ack_timeout === undefined ? 'succeeded' : 'accepted')
    else endings.push(isTheLastAnswer(result.status) ? 'refused' : 'failed')
  }
  if (result?.kind === 'unanswered') endings.push('failed')
  if (result?.kind === 'lost') endings.push('lost')
  if (network.wasNotCalled(entry.runId, entry.attempts)) endings.push('not called')
  if (model.isCommanded(entry, 'ack')) endings.push('succeeded', 'failed', 'refused')
  const isLeaseOver = (entry.leaseUntil ?? Infinity) <= time.latest
  if (entry.awaiting === 'ack' && isLeaseOver) endings.push('failed')
  if (entry.awaiting === 'worker' && isLeaseOver) endings.push('lost')
  // A node that is well renews its leases.
  if (entry.awaiting === null && ((isLeaseOver && !isWell) || !isAlive(entry.claimedBy))) endings.push('lost')
  // There is nothing to call.
  if (call === undefined && entry.definition.callback === undefined) endings.push('refused', 'not called')
  return endings
}
