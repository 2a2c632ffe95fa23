/** What the receiver has seen against what the store and the journal say: each call once, in its window, and recorded as it was answered. */
import { AttemptBook, attemptName } from './attempt-book.ts'
import { nameOf } from './evidence.ts'
import type { Evidence, Finding, ReceivedCall, Wanted } from './evidence.ts'
import { isErrorCallback } from './stored-rules.ts'
import { overlaps } from './troubles.ts'
import { windowsOf } from './window.ts'

export function checkCalls(evidence: Evidence): Finding[] {
  const ofTasks = evidence.calls.filter((call) => !isErrorCallback(call))
  return [
    ...checkOnce(evidence),
    ...checkInWindow(evidence, ofTasks),
    ...checkRecorded(evidence, ofTasks),
    ...checkTogether(evidence, ofTasks),
  ]
}

function checkOnce({ calls, journal }: Evidence): Finding[] {
  const findings: Finding[] = []
  for (const [attempt, same] of Map.groupBy(calls, attemptName))
    if (same.length > 1) findings.push({ rule: 'doubled', detail: `${same.length} calls of ${same[0]?.key ?? ''}, attempt ${attempt}` })
  for (const [run, ofRun] of Map.groupBy(calls, ({ runId }) => runId)) {
    const [first] = ofRun
    if (first === undefined || isErrorCallback(first) || ofRun.length === 1) continue
    if (journal.wanted[nameOf(first.key)]?.delivery === 'at_most_once')
      findings.push({ rule: 'doubled', detail: `${ofRun.length} calls of ${first.key}, run ${run}, which is at_most_once` })
  }
  for (const [attempt, same] of Map.groupBy(journal.given, attemptName))
    if (same.length > 1)
      findings.push({ rule: 'doubled', detail: `${same[0]?.key ?? ''}, attempt ${attempt}, was given to ${same.length} workers` })
  return findings
}

function checkInWindow({ journal, troubles }: Evidence, calls: readonly ReceivedCall[]): Finding[] {
  const windowOf = windowsOf(journal)
  return calls.flatMap(({ key, at, attempt }): Finding[] => {
    const { opens, closes } = windowOf(key)
    if (at < opens) return [{ rule: 'early', detail: `${key}, attempt ${attempt}, came ${opens - at} ms before its time` }]
    // It may arrive later than it starts by as much as it may take, and by as long as its node stands still.
    const arrivesUntil = closes + (journal.wanted[nameOf(key)]?.timeout ?? 0) * 1000
    if (at < arrivesUntil || overlaps(troubles, { what: ['node'], from: closes, to: at })) return []
    return [{ rule: 'late', detail: `${key}, attempt ${attempt}, came ${at - closes} ms after its window had closed` }]
  })
}

function checkRecorded(evidence: Evidence, calls: readonly ReceivedCall[]): Finding[] {
  const { journal, entries, troubles } = evidence
  const book = new AttemptBook(entries)
  const removed = new Set(
    journal.operations.filter(({ does, outcome }) => does.includes('remove') && outcome !== 'refused').map(({ name }) => name),
  )
  return calls.flatMap((call) => {
    const name = nameOf(call.key)
    const recorded = book.get(call)
    const text = `${call.key}, attempt ${attemptName(call)}`
    if (recorded === undefined) {
      const isGone = !book.knowsRun(call.runId) && (removed.has(name) || name in journal.series)
      return isGone ? [] : [{ rule: 'unrecorded', detail: `${text}, came and is not recorded` }]
    }
    const isAcknowledged = journal.acknowledged.includes(attemptName(call))
    if (call.status === undefined || recorded.status === call.status || recorded.isLost || isAcknowledged) return []
    const isTimedOut = recorded.status === null && recorded.durationMs >= (journal.wanted[name]?.timeout ?? Infinity) * 900
    const isTroubled = recorded.status === null && overlaps(troubles, { what: ['node', 'receiver'], from: recorded.from, to: recorded.to })
    if (isTimedOut || isTroubled) return []
    const got = recorded.status ?? `"${recorded.error ?? ''}"`
    return [{ rule: 'unrecorded', detail: `${text}, was answered with ${call.status}, recorded is ${got}` }]
  })
}

/** Of calls that were answered and recorded, no more are under way together than their handler allows. */
function checkTogether({ journal, entries }: Evidence, calls: readonly ReceivedCall[]): Finding[] {
  const book = new AttemptBook(entries)
  const counted = calls.filter((call) => call.answeredAt !== undefined && book.get(call)?.isLost === false)
  const groups = Map.groupBy(counted, ({ key }) => groupOf(nameOf(key), journal.wanted[nameOf(key)]))
  return [...groups].flatMap(([group, ofGroup]) => {
    const allowed = journal.wanted[nameOf(ofGroup[0]?.key ?? '')]?.concurrency
    if (group === undefined || allowed === undefined) return []
    const most = mostTogether(ofGroup)
    return most > allowed ? [{ rule: 'doubled', detail: `${most} calls of ${group} were under way together, ${allowed} are allowed` }] : []
  })
}

function groupOf(name: string, wanted: Wanted | undefined): string | undefined {
  return wanted?.concurrency === undefined ? undefined : `${name.split('.')[0] ?? name}.*`
}

function mostTogether(calls: readonly ReceivedCall[]): number {
  const steps = calls.flatMap(({ at, answeredAt = at }) => [
    { at, by: 1 },
    { at: answeredAt, by: -1 },
  ])
  // An answer and the next call may fall into one millisecond.
  steps.sort((one, other) => one.at - other.at || one.by - other.by)
  let [now, most] = [0, 0]
  for (const { by } of steps) {
    now += by
    most = Math.max(most, now)
  }
  return most
}
