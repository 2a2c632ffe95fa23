/** The judge of chaos: content where every promise was kept, and not where testimony is tampered with in any of these ways. */
import { expect, it } from 'vitest'
import type { Rule } from './evidence.ts'
import { judge } from './judge.ts'
import { MINUTE, attempt, entry, soundEvidence } from './sound-evidence.ts'
import type { Tampered } from './sound-evidence.ts'

const MS = MINUTE * 1000

it('finds nothing where every promise was kept', () => {
  expect(judge(soundEvidence())).toEqual([])
})

const TAMPERED: readonly (readonly [what: string, rule: Rule, of: string, tamper: (evidence: Tampered) => unknown])[] = [
  ['a task that was accepted is not there', 'lost', 'good', (e) => (e.entries = without(e, 'good'))],
  [
    'a task is in another run than was accepted',
    'lost',
    'good',
    (e) => {
      change(e, 'good', { run_id: 'other' })
    },
  ],
  [
    'an entry that a reschedule has made is not there',
    'lost',
    'good',
    (e) => {
      operate(e, { does: 'move', newKey: `good@${MINUTE + 60}` })
    },
  ],
  [
    'a task that was to be removed once it had succeeded is gone without a call',
    'lost',
    'good',
    (e) => {
      operate(e, { does: 'run and remove' })
      e.entries = without(e, 'good')
      e.calls = callsWithout(e, 'good')
    },
  ],
  [
    'nobody was to be told of a failure',
    'lost',
    'refused',
    (e) => {
      change(e, 'refused', { error_callback_result: null })
    },
  ],
  [
    'a task that was removed is there',
    'invented',
    'good',
    (e) => {
      operate(e, { does: 'remove' })
    },
  ],
  ['a task is there that nobody has asked for', 'invented', 'stranger', (e) => e.entries.push(entry('stranger', []))],
  [
    'an entry is there at a time that nobody has asked for',
    'invented',
    'good',
    (e) => e.entries.push(entry('good', [], { trigger_at: String(MINUTE + 60) })),
  ],
  [
    'a task has not ended',
    'waiting',
    'good',
    (e) => {
      change(e, 'good', { task_state: 'retrying' })
    },
  ],
  [
    'an error callback has not ended',
    'waiting',
    'refused',
    (e) => {
      change(e, 'refused', { error_callback_result: { state: 'retrying' } as never })
    },
  ],
  [
    'a task does not say why it has failed',
    'unexplained',
    'refused',
    (e) => {
      change(e, 'refused', { error: null })
    },
  ],
  ['an attempt is called twice', 'doubled', 'good', (e) => e.calls.push(callOf(e, 'good'))],
  ['an error callback is called twice', 'doubled', 'refused', (e) => e.calls.push(e.calls.find(({ path }) => path === '/errors') as never)],
  [
    'at_most_once is called twice',
    'doubled',
    'once',
    (e) => {
      historyOf(e, 'once').push({ ...attempt(2, 200, null, 900), run_id: 'run of once' })
      e.calls.push({ ...callOf(e, 'once'), attempt: 2, at: MS + 905 })
    },
  ],
  ['a task is given to two workers', 'doubled', 'pulled', (e) => e.journal.given.push(e.journal.given[0] as never)],
  [
    'what has succeeded is called again',
    'doubled',
    'good',
    (e) => {
      historyOf(e, 'good').push({ ...attempt(2, 200, null, 900), run_id: 'run of good' })
      e.calls.push({ ...callOf(e, 'good'), attempt: 2, at: MS + 905 })
    },
  ],
  [
    'there are more attempts than were asked for',
    'doubled',
    'again',
    (e) => {
      historyOf(e, 'again').push({ ...attempt(3, 500, 'answered 500', 900), run_id: 'run of again' })
      e.calls.push({ ...callOf(e, 'again'), attempt: 3, at: MS + 905, status: 500 })
    },
  ],
  [
    'more calls are under way together than are allowed',
    'doubled',
    'limited',
    (e) => {
      changeCall(e, 'limited.b', { at: MS + 20 })
    },
  ],
  [
    'a call comes before its time',
    'early',
    'good',
    (e) => {
      changeCall(e, 'good', { at: MS - 1 })
    },
  ],
  [
    'a call is recorded as begun before its time',
    'early',
    'good',
    (e) => {
      changeAttempt(e, 'good', { start: new Date(MS - 1).toISOString() })
    },
  ],
  [
    'a call comes long after its window has closed',
    'late',
    'good',
    (e) => {
      changeCall(e, 'good', { at: MS + 65_000 })
    },
  ],
  [
    'a call begins when its window closes',
    'late',
    'good',
    (e) => {
      changeAttempt(e, 'good', { start: new Date(MS + 60_000).toISOString() })
    },
  ],
  ['a call is not recorded', 'unrecorded', 'again', (e) => historyOf(e, 'again').shift()],
  [
    'a run that was called is in no entry',
    'unrecorded',
    'good',
    (e) => {
      changeCall(e, 'good', { runId: 'unknown' })
    },
  ],
  [
    'another status is recorded than was answered',
    'unrecorded',
    'again',
    (e) => {
      changeAttempt(e, 'again', { status: 503 })
    },
  ],
  [
    'an answer is recorded as none',
    'unrecorded',
    'again',
    (e) => {
      changeAttempt(e, 'again', { status: null, start: at(20_000) })
    },
  ],
  ['a delivered error callback never came', 'unrecorded', 'refused', (e) => (e.calls = e.calls.filter(({ path }) => path !== '/errors'))],
  ['an answer is recorded that the receiver never gave', 'unexplained', 'good', (e) => (e.calls = callsWithout(e, 'good'))],
  [
    'a call failed on its way though the receiver was there',
    'unexplained',
    'good',
    (e) => {
      changeAttempt(e, 'good', { status: null, error: 'connection refused', start: at(20_000) })
      e.calls = callsWithout(e, 'good')
    },
  ],
  ['an attempt was lost though nothing befell its node', 'unexplained', 'killed', (e) => (e.troubles = [])],
  [
    'an attempt was lost though only another node was killed',
    'unexplained',
    'killed',
    (e) => (e.troubles = e.troubles.map((trouble) => ({ ...trouble, node: 'other' }))),
  ],
  [
    'a series leaves a minute out that nobody was away for',
    'series',
    'series',
    (e) => {
      change(e, 'series', { repeated_to: `series@${MINUTE + 120}` })
      e.entries = e.entries.filter((one) => one.task_name !== 'series' || one.trigger_at !== String(MINUTE + 60))
      e.calls = e.calls.filter(({ key }) => key !== `series@${MINUTE + 60}`)
    },
  ],
  [
    'a series has come to an end',
    'series',
    'series',
    (e) => {
      e.entries = e.entries.filter((one) => one.task_name !== 'series' || one.trigger_at === String(MINUTE))
      e.calls = e.calls.filter(({ key }) => !key.startsWith('series') || key === `series@${MINUTE}`)
    },
  ],
  [
    'an entry of a series follows nothing',
    'series',
    'series',
    (e) => {
      change(e, 'series', { repeated_to: `series@${MINUTE + 120}` })
    },
  ],
  ['an answer was wrong', 'answer', '500', (e) => (e.journal = { ...e.journal, wrongAnswers: ['PUT was answered with 500'] } as never)],
]

it.each(TAMPERED)('finds that %s', (_what, rule, of, tamper) => {
  const evidence = soundEvidence()
  tamper(evidence)
  const findings = judge(evidence)
  expect(findings.filter((finding) => finding.rule === rule && finding.detail.includes(of))).not.toEqual([])
})

it('takes what was not answered for what may or may not have happened', () => {
  const evidence = soundEvidence()
  operate(evidence, { does: 'remove', outcome: 'unknown' })
  expect(judge(evidence)).toEqual([])
  evidence.entries = without(evidence, 'good')
  expect(judge(evidence)).toEqual([])
})

it('lets a series leave out what nobody was there for', () => {
  const evidence = soundEvidence()
  evidence.entries = evidence.entries.filter((one) => one.task_name !== 'series' || one.trigger_at !== String(MINUTE + 60))
  evidence.calls = evidence.calls.filter(({ key }) => key !== `series@${MINUTE + 60}`)
  change(evidence, 'series', { repeated_to: `series@${MINUTE + 120}` })
  changeAttempt(evidence, 'series', { start: at(61_000) })
  expect(judge(evidence).filter(({ rule }) => rule === 'series')).toEqual([])
})

function at(ms: number): string {
  return new Date(MS + ms).toISOString()
}

function without(evidence: Tampered, name: string): Tampered['entries'] {
  return evidence.entries.filter((one) => one.task_name !== name)
}

function callsWithout(evidence: Tampered, name: string): Tampered['calls'] {
  return evidence.calls.filter(({ key }) => key !== `${name}@${MINUTE}`)
}

function callOf(evidence: Tampered, name: string): Tampered['calls'][number] {
  return evidence.calls.find(({ key }) => key === `${name}@${MINUTE}`) as Tampered['calls'][number]
}

function historyOf(evidence: Tampered, name: string): Tampered['entries'][number]['history'] {
  return (evidence.entries.find((one) => one.task_name === name) as Tampered['entries'][number]).history
}

function change(evidence: Tampered, name: string, fields: Partial<Tampered['entries'][number]>): void {
  Object.assign(evidence.entries.find((one) => one.task_name === name) as object, fields)
}

function changeCall(evidence: Tampered, name: string, fields: Partial<Tampered['calls'][number]>): void {
  Object.assign(callOf(evidence, name), fields)
}

function changeAttempt(evidence: Tampered, name: string, fields: Partial<Tampered['entries'][number]['history'][number]>): void {
  Object.assign(historyOf(evidence, name)[0] as object, fields)
}

/** Of `good`. */
function operate(evidence: Tampered, fields: Partial<Tampered['journal']['operations'][number]>): void {
  const [put] = evidence.journal.operations as [Tampered['journal']['operations'][number]]
  const { runId: _, ...rest } = put
  evidence.journal.operations.push({ ...rest, sentAt: MS + 20_000, answeredAt: MS + 20_010, ...fields })
}
