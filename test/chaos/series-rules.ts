/** Series that come every minute: each entry is followed by one, at the next minute after it was claimed, and each is there. */
import type { WireTask } from '../../src/wire/present-task.ts'
import { isFollowedByNext } from '../promises/series.ts'
import { keyOfTask, minuteOf } from './evidence.ts'
import type { Evidence, Finding } from './evidence.ts'

const MINUTE = 60

export function checkSeries({ journal, entries }: Evidence): Finding[] {
  return Object.entries(journal.series).flatMap(([name, endedAt]) => {
    const first = journal.operations.find((one) => one.name === name && one.outcome === 'accepted')
    if (first?.key === undefined) return []
    const ofName = new Map(entries.filter((entry) => entry.task_name === name).map((entry) => [keyOfTask(entry), entry]))
    return checkChain(first.key, ofName, endedAt)
  })
}

function checkChain(first: string, entries: ReadonlyMap<string, WireTask>, endedAt: number): Finding[] {
  const findings: Finding[] = []
  const visited = new Set<string>()
  let key: string | null = first
  while (key !== null) {
    const entry = entries.get(key)
    if (entry === undefined) {
      // What waited when the series was ended was removed.
      if ((minuteOf(key) + MINUTE) * 1000 < endedAt)
        findings.push({ rule: 'series', detail: `${key} is not stored, though its series goes on` })
      break
    }
    visited.add(key)
    const next: string | null = entry.repeated_to
    if (next !== null && skipsWithoutNeed(entry, minuteOf(next)))
      findings.push({ rule: 'series', detail: `${key} is followed by ${next}, though it was claimed before the minutes between` })
    key = next
  }
  const strays = [...entries.keys()].filter((one) => !visited.has(one) && minuteOf(one) * 1000 < endedAt)
  return [...findings, ...strays.map((stray): Finding => ({ rule: 'series', detail: `${stray} follows nothing` }))]
}

/** What would have been due while nobody was there to claim is left out. */
function skipsWithoutNeed({ trigger_at: triggerAt, history = [], updated }: WireTask, next: number): boolean {
  const starts = history.map(({ start }) => Date.parse(start))
  const claimedAtTheLatest = starts.length > 0 ? Math.min(...starts) : Date.parse(updated)
  const claimed = { from: -Infinity, to: Math.floor(claimedAtTheLatest / 1000) }
  const minuteAfter = (seconds: number): number => (Math.floor(seconds / MINUTE) + 1) * MINUTE
  return !isFollowedByNext({ triggerAt: Number(triggerAt), repeatedTo: next, claimed }, minuteAfter)
}
