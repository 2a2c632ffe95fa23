/** What may become of an entry from one commit to the next: nothing comes from nowhere, nothing vanishes, and what has ended stays so. */
import { isEnded, isWaiting } from './entry.ts'
import type { Entry } from './entry.ts'
import { Violation } from './model.ts'
import type { RuleContext } from './rule-context.ts'
import { checkRunning, endingsOf } from './running-rules.ts'
import { checkClaim } from './claim-rules.ts'

/** @throws Violation where an entry is there that nobody has asked for */
export function checkAppeared(entry: Entry, { model, entries }: RuleContext): void {
  if (entry.isErrorCallback) {
    const [name = '', runId = ''] = entry.name.split('@')
    const told = entries.get(`${name}@${entry.triggerAt}`)
    // The task may have been run again, or be gone.
    if (told?.runId !== runId || told.state === 'failed' || told.state === 'skipped') return
    throw new Violation('an error callback tells of a task that ended badly', `${entry.key} is there, its task is ${told.state}`)
  }
  if (model.isCommanded(entry, 'put', 'move')) return
  if ([...entries.values()].some(({ name, repeatedTo }) => name === entry.name && repeatedTo === entry.triggerAt)) return
  if (entry.definition.repeat !== undefined && model.isCommanded({ name: entry.name, triggerAt: NaN }, 'remove')) return
  throw new Violation('no entry comes from nowhere', entry.key)
}

/** @throws Violation where an entry is gone that nobody took away */
export function checkVanished(entry: Entry, context: RuleContext): void {
  const { model, time, retentionMs, entries } = context
  if (entry.isErrorCallback) {
    const isOld = retentionMs > 0 && entry.updated < time.latest - retentionMs
    const isWithTask = isEnded(entry) && !entries.has(`${entry.name.split('@')[0] ?? ''}@${entry.triggerAt}`)
    if (isOld || isWithTask) return
  } else {
    if (model.isCommanded(entry, 'remove', 'move') && !isUnderWay(entry, context)) return
    if (isEnded(entry) && retentionMs > 0 && entry.updated < time.latest - retentionMs) {
      context.pruned.add(entry.key)
      return
    }
    if (entry.removeAfter && entry.state === 'running' && context.hasSucceeded(entry)) return
  }
  throw new Violation('no accepted task vanishes', `${entry.key} was ${entry.state}`)
}

/** @throws Violation where an entry has changed in a way that nothing explains */
export function checkChanged(before: Entry, after: Entry, context: RuleContext): void {
  const { model } = context
  if (before.runId !== after.runId) {
    if (!model.isCommanded(after, 'put', 'run', 'move')) throw new Violation('a run begins by a command', `${after.key} has a new run`)
    return
  }
  if (isEnded(before)) checkEnded(before, after, context)
  if (isWaiting(before)) checkWaiting(before, after, context)
  if (before.state === 'running') checkRunning(before, after, context)
  checkTold(before, after, context)
  checkCount(after, context)
}

/** Whether it runs and nothing is known to have ended that, which may have come to be in the same commit. */
function isUnderWay(entry: Entry, context: RuleContext): boolean {
  return entry.state === 'running' && endingsOf(entry, context).length === 0
}

/** Whoever is to be told of a bad end is told, where it can be read who that is: the callback is stored in the commit that ends the task. */
function checkTold(before: Entry, after: Entry, { model, entries }: RuleContext): void {
  const endsBadly = !isEnded(before) && (after.state === 'failed' || after.state === 'skipped')
  if (!endsBadly || after.unreadable !== undefined || model.bodyOf(after)?.error_callback === undefined) return
  if (!entries.has(`${after.name}@${after.runId}@${after.triggerAt}`))
    throw new Violation('a bad end is told to the error callback', after.key)
}

function checkEnded(before: Entry, after: Entry, { model }: RuleContext): void {
  const isSame = before.state === after.state && before.attempts === after.attempts && before.error === after.error
  if (!isSame) throw new Violation('a final state changes only by a command', `${after.key} was ${before.state}, is ${after.state}`)
  if (before.rescheduledTo !== after.rescheduledTo && !model.isCommanded({ ...after, triggerAt: after.rescheduledTo ?? NaN }, 'move'))
    throw new Violation('an entry is rescheduled by a command', after.key)
}

function checkWaiting(before: Entry, after: Entry, context: RuleContext): void {
  const { model, time } = context
  if (before.windowFrom !== after.windowFrom && !model.isCommanded(after, 'run'))
    throw new Violation('a window begins anew only by a command', after.key)
  if (after.state === 'running') checkClaim(before, after, context)
  else if (isEnded(after) && after.unreadable !== undefined) checkSetAside(before, after, context)
  else if (isEnded(after) && !(isCompound(before, after) && context.hasSucceeded(after)) && model.urlOf(after) !== undefined) {
    const { least } = model.delaysOf(after)
    const isOver = model.windowsOf(after).some(({ from }) => time.latest >= from + least)
    if (!isOver)
      throw new Violation('a waiting task ends when its window has closed', `${after.key} is ${after.state}: ${after.error ?? ''}`)
    if (after.state === 'skipped' && after.attempts > 0) throw new Violation('what was tried is not skipped', after.key)
  } else if (isWaiting(after) && after.attempts !== before.attempts) {
    throw new Violation('an attempt is counted when it is claimed', `${after.key}: ${before.attempts}, then ${after.attempts}`)
  }
}

/** Nobody knows how long its window was. */
function checkSetAside(before: Entry, after: Entry, { time }: RuleContext): void {
  if (before.dueAt > time.latest || after.state === 'successful' || after.attempts !== before.attempts)
    throw new Violation('what cannot be read ends badly when it is due', `${after.key} is ${after.state}`)
  if (!after.error?.includes(`the stored definition cannot be read: ${after.unreadable ?? ''}`))
    throw new Violation('what cannot be read ends with the reason', `${after.key}: ${after.error ?? ''}`)
}

/** Whether more than one thing has happened to it in one commit. */
function isCompound(before: Entry, after: Entry): boolean {
  return after.attempts > before.attempts
}

function checkCount(entry: Entry, { model }: RuleContext): void {
  if (entry.attempts - entry.lost <= 1 + model.retryOf(entry)) return
  throw new Violation('attempts with a known outcome never exceed 1 + retry', `${entry.key}: ${entry.attempts} made, ${entry.lost} lost`)
}
