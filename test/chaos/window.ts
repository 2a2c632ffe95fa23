/** When an entry may be called, by what was asked for. */
import { minuteOf, nameOf } from './evidence.ts'
import type { Journal } from './evidence.ts'

/** epoch ms */
export interface Window {
  /** nothing may be called before this */
  readonly opens: number
  /** nothing may start at or after this; Infinity where a run that was asked for may have begun at any time */
  readonly closes: number
}

/** @returns a look-up by key */
export function windowsOf({ operations, wanted }: Journal): (key: string) => Window {
  const runs = Map.groupBy(
    operations.filter(({ does, outcome }) => (does === 'run' || does === 'run and remove') && outcome !== 'refused'),
    ({ key }) => key,
  )
  return (key) => {
    const minute = minuteOf(key) * 1000
    const ofKey = runs.get(key) ?? []
    // A run opens a window of its own. What was not answered may be carried out by a node that was frozen, long after.
    const begins = ofKey.map(({ outcome, answeredAt }) => (outcome === 'unknown' ? Infinity : answeredAt))
    const maxDelay = wanted[nameOf(key)]?.maxDelay ?? Infinity
    return {
      opens: Math.min(minute, ...ofKey.map(({ sentAt }) => sentAt)),
      closes: Math.max(minute, ...begins) + maxDelay * 60_000,
    }
  }
}
