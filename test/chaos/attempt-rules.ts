/** What the store has recorded against what the receiver and the journal say: nothing that did not happen, and no more than was allowed. */
import { exceedsRetry, goodBeforeLast } from '../promises/runs.ts'
import { AttemptBook, attemptName } from './attempt-book.ts'
import type { RecordedAttempt } from './attempt-book.ts'
import { nameOf } from './evidence.ts'
import type { Evidence, Finding, ReceivedCall, Trouble } from './evidence.ts'
import { isErrorCallback } from './stored-rules.ts'
import { overlaps } from './troubles.ts'
import { windowsOf } from './window.ts'

export function checkAttempts(evidence: Evidence): Finding[] {
  const book = new AttemptBook(evidence.entries)
  return [...checkHappened(evidence, book), ...checkStarts(evidence, book), ...checkNumbers(evidence, book)]
}

function checkHappened({ journal, calls, troubles }: Evidence, book: AttemptBook): Finding[] {
  const received = new Map(calls.filter((call) => !isErrorCallback(call)).map((call) => [attemptName(call), call]))
  return book.all.flatMap((attempt) => {
    const call = received.get(attemptName(attempt))
    // Of what workers pull the receiver knows nothing, and an acknowledgement says more than an answer.
    const isKnownOtherwise = (journal.wanted[nameOf(attempt.key)]?.isPulled ?? false) || journal.acknowledged.includes(attemptName(attempt))
    if (isKnownOtherwise || (attempt.isLost ? lostInTrouble(attempt, troubles) : isBackedBy(attempt, call, troubles))) return []
    const seen = call === undefined ? 'was not seen' : `was ${call.status === undefined ? 'not answered' : `answered with ${call.status}`}`
    const { key, status, error, node, from } = attempt
    const text = `${key}, attempt ${attemptName(attempt)} of node ${node}, begun ${new Date(from).toISOString()}`
    return [{ rule: 'unexplained', detail: `${text}, is recorded as ${status ?? `"${error ?? ''}"`} and ${seen} by the receiver` }]
  })
}

function lostInTrouble({ node, from, to }: RecordedAttempt, troubles: readonly Trouble[]): boolean {
  return overlaps(troubles, { what: ['node', 'store'], node, from, to })
}

/** Whether the receiver, or what befell somebody, says the same. */
function isBackedBy({ status, error, from, to }: RecordedAttempt, call: ReceivedCall | undefined, troubles: readonly Trouble[]): boolean {
  if (status !== null) return call?.status === status
  if (error === null) return false
  // Whether an answer that was given came in time is the business of the other side.
  if (call !== undefined) return true
  return overlaps(troubles, { what: ['node', 'receiver'], from, to })
}

function checkStarts({ journal, calls }: Evidence, book: AttemptBook): Finding[] {
  const windowOf = windowsOf(journal)
  const keys = new Map(calls.map((call) => [attemptName(call), call.key]))
  return book.all.flatMap((attempt): Finding[] => {
    // An entry that was moved has the attempts of its earlier times as well.
    const key = keys.get(attemptName(attempt)) ?? (attempt.isOfPresentRun ? attempt.key : undefined)
    if (key === undefined) return []
    const { opens, closes } = windowOf(key)
    const text = `${key}, attempt ${attemptName(attempt)}, is recorded as begun`
    if (attempt.from < opens) return [{ rule: 'early', detail: `${text} ${opens - attempt.from} ms before its time` }]
    if (attempt.from >= closes) return [{ rule: 'late', detail: `${text} ${attempt.from - closes} ms after its window had closed` }]
    return []
  })
}

function checkNumbers({ journal }: Evidence, book: AttemptBook): Finding[] {
  return [...Map.groupBy(book.all, ({ runId }) => runId)].flatMap(([runId, attempts]) => {
    const [first] = attempts
    const wanted = journal.wanted[nameOf(first?.key ?? '')]
    if (wanted === undefined) return []
    const findings: Finding[] = []
    const retry = wanted.delivery === 'at_most_once' ? 0 : wanted.retry
    const made = attempts.map(({ attempt, isLost, isGood }) => ({ attempt, isKnown: !isLost, isGood }))
    const text = `${first?.key ?? ''}, run ${runId}`
    if (exceedsRetry(made, retry))
      findings.push({ rule: 'doubled', detail: `${text}, has more than ${1 + retry} attempts with a known outcome` })
    const goodOne = goodBeforeLast(made)
    if (goodOne) findings.push({ rule: 'doubled', detail: `${text}, succeeded with attempt ${goodOne.attempt} and was called again` })
    return findings
  })
}
