/** Holds what all witnesses say at the end of a run against the promises of callme. Pure: the same evidence gives the same findings. */
import { checkAttempts } from './attempt-rules.ts'
import { checkCalls } from './call-rules.ts'
import type { Evidence, Finding } from './evidence.ts'
import { checkSeries } from './series-rules.ts'
import { checkEnded, checkStored } from './stored-rules.ts'

/** @returns each promise that was not kept; none where all is well */
export function judge(evidence: Evidence): Finding[] {
  return [
    ...evidence.journal.wrongAnswers.map((detail): Finding => ({ rule: 'answer', detail })),
    ...checkStored(evidence),
    ...checkEnded(evidence),
    ...checkCalls(evidence),
    ...checkAttempts(evidence),
    ...checkSeries(evidence),
  ]
}
