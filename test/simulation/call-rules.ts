/** What may be called: what is claimed, inside its window, and a second time only where the first has failed or nobody knows of it. */
import { exceedsRetry, goodBeforeLast, madeTwice } from '../promises/runs.ts'
import type { Made } from '../promises/runs.ts'
import type { Entry } from './entry.ts'
import { Violation } from './model.ts'
import type { Call } from './network.ts'
import { isExpectedStatus } from './receivers-view.ts'
import type { RuleContext } from './rule-context.ts'

/** @throws Violation where a call is made that might not be */
export function checkCall(call: Call, entry: Entry | undefined, context: RuleContext): asserts entry is Entry {
  const { time, model, network, overtaken } = context
  const { runId, attempt, request } = call
  const text = `${request.headers['callme-task'] ?? ''}, attempt ${attempt}`
  const calls = network.calls.get(runId) ?? []
  const earlier = calls.includes(call) ? calls.slice(0, calls.indexOf(call)) : calls
  if (madeTwice([...earlier, call]) !== undefined) throw new Violation('an attempt is called once', text)
  if (entry === undefined) throw new Violation('only what is stored is called', text)
  // Of what has become of it since, its node knows nothing.
  if (overtaken.has(`${runId} ${attempt}`)) return
  if (entry.state !== 'running' || entry.attempts !== attempt || entry.claimedBy !== call.node)
    throw new Violation('only what is claimed is called', `${text}, which is ${entry.state} with attempt ${entry.attempts}`)
  if (entry.awaiting !== null) throw new Violation('what somebody has is not called', text)
  if (!model.mayCallAt(entry, time.now)) throw new Violation('no call is made before its time, nor at or after the deadline', text)
  if (time.now >= entry.triggerAt * 1000 + 525_600 * 60_000) throw new Violation('no call is made a year late', text)
  const { payload } = entry.definition
  if (!entry.isErrorCallback && request.method !== 'HEAD' && request.body !== JSON.stringify(payload))
    throw new Violation('what is called is what was put last', text)
  if (Number(request.headers['callme-trigger-at']) !== entry.triggerAt) throw new Violation('a call says which minute it is for', text)
  if (earlier.length > 0 && model.isAtMostOnce(entry)) throw new Violation('at_most_once is called at most once', text)
  const made = [...earlier.map((other) => asMade(other, entry, context)), { attempt, isKnown: true, isGood: false }]
  if (goodBeforeLast(made) !== undefined) throw new Violation('what has succeeded is not called again', text)
  if (exceedsRetry(made, model.retryOf(entry))) throw new Violation('calls with a known outcome never exceed 1 + retry', text)
}

/** Nobody knows the outcome where its node has gone away, or has lost the task, before it was recorded. */
function asMade(call: Call, entry: Entry, { recorded }: RuleContext): Made {
  const { runId, attempt } = call
  const isKnown = recorded.has(`${runId} ${attempt}`)
  return { attempt, isKnown, isGood: isKnown && isGood(call, entry) }
}

function isGood({ result }: Call, { definition }: Entry): boolean {
  return (
    result?.kind === 'answered' && definition.ack_timeout === undefined && isExpectedStatus(result.status, definition.expected_http_status)
  )
}
