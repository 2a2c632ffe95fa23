/** A series: each of its entries is followed by exactly one, at the next time that its expression names. */
import { isFollowedByNext } from '../promises/series.ts'
import type { Entry } from './entry.ts'
import { Violation } from './model.ts'
import type { RuleContext } from './rule-context.ts'

/** @throws Violation where an entry is followed by another time than the next one */
export function checkFollowed(before: Entry | undefined, after: Entry, { model, time, isUnsteady }: RuleContext): void {
  const { name, triggerAt, repeatedTo } = after
  if (after.isErrorCallback || repeatedTo === null || repeatedTo === before?.repeatedTo) return
  // A copy is no part of the series, and says so in this way.
  if (before === undefined && model.isCommanded(after, 'move')) return
  if (before !== undefined && before.repeatedTo !== null) throw new Violation('an entry of a series is followed once', after.key)
  const now = Math.floor(time.now / 1000)
  const claimed = isUnsteady ? { from: -Infinity, to: Math.floor(time.latest / 1000) } : { from: now, to: now }
  if (!isFollowedByNext({ triggerAt, repeatedTo, claimed }, (seconds) => model.nextOf(name, seconds)))
    throw new Violation('a series neither skips nor doubles', `${after.key} is followed by ${repeatedTo}`)
}

/** @throws Violation where a series has come to an end, or goes on twice */
export function checkHeads(name: string, { entries }: RuleContext): void {
  const all = [...entries.values()].filter((entry) => entry.name === name)
  const heads = all.filter(({ repeatedTo }) => repeatedTo === null)
  if (heads.length !== 1)
    throw new Violation('of a series one entry waits to be followed', `of ${name}: ${heads.map(({ key }) => key).join(', ') || 'none'}`)
}
