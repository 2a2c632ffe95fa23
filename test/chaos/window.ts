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

const MINUTE_MS = 60_000

/** @returns a look-up by key */
export function windowsOf({ operations, wanted }: Journal): (key: string) => Window {
  const runs = Map.groupBy(
    operations.filter(({ does, outcome }) => (does === 'run' || does === 'run and remove') && outcome !== 'refused'),
    ({ key }) => key,
  )
  const puts = Map.groupBy(
    operations.filter(({ does, outcome }) => does === 'put' && outcome !== 'refused'),
    ({ name }) => name,
  )
  return (key) => {
    const minute = minuteOf(key) * 1000
    // What is stored in its own minute has its whole window from then on. Without an answer nobody knows of which minute it became.
    const ofName = (puts.get(nameOf(key)) ?? []).filter((put) => put.key === key || put.key === undefined)
    const storedAt = ofName.map(({ outcome, answeredAt }) => Math.min(outcome === 'unknown' ? Infinity : answeredAt, minute + MINUTE_MS))
    const ofKey = runs.get(key) ?? []
    // A run opens a window of its own. What was not answered may be carried out by a node that was frozen, long after.
    const begins = ofKey.map(({ outcome, answeredAt }) => (outcome === 'unknown' ? Infinity : answeredAt))
    const maxDelay = wanted[nameOf(key)]?.maxDelay ?? Infinity
    return {
      opens: Math.min(minute, ...ofKey.map(({ sentAt }) => sentAt)),
      closes: Math.max(minute, ...storedAt, ...begins) + maxDelay * MINUTE_MS,
    }
  }
}
