/** Shows a run: its plan, and at its end what the ledger, the receiver and the journal say, side by side. */
import { attemptName } from './attempt-book.ts'
import type { ChaosResult } from './chaos.ts'
import type { Rule } from './evidence.ts'
import { describeFault } from './plan.ts'
import type { Fault, StoreKind } from './plan.ts'
import { isErrorCallback } from './stored-rules.ts'

const COLUMNS = ['', 'journal', 'store', 'receiver', 'ledger']
const MOST_SHOWN = 40
const NOT_ITS_BUSINESS = '-'

export function describePlan(store: StoreKind, plan: readonly Fault[]): string {
  return [`${store}, ${plan.length} misfortunes:`, ...plan.map((fault) => `  ${describeFault(fault)}`)].join('\n')
}

/** The table, what the ledger says about lateness, and each finding. */
export function describeResult(result: ChaosResult): string {
  const { store, findings, ledger } = result
  const rows = [COLUMNS, ...rowsOf(result)]
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const table = rows.map(
    (row) => `  ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  ')}`,
  )
  const lateness = ledger?.account['lateness']
  return [
    `${store}: ${findings.length === 0 ? 'every promise was kept' : `${findings.length} findings`}`,
    ...table,
    ...(lateness === undefined ? [] : [`  lateness, ms: ${JSON.stringify(lateness)}`]),
    ...(ledger === undefined ? ['  this callme has no ledger'] : []),
    ...findings.slice(0, MOST_SHOWN).map(({ rule, detail }) => `  ${rule}: ${detail}`),
    ...(findings.length > MOST_SHOWN ? [`  and ${findings.length - MOST_SHOWN} more`] : []),
  ].join('\n')
}

function rowsOf({ evidence, findings, ledger }: ChaosResult): string[][] {
  const { journal, entries, calls } = evidence
  const found = (...rules: Rule[]): string => String(findings.filter(({ rule }) => rules.includes(rule)).length)
  const account = (field: string): string => {
    const value = ledger?.account[field]
    return value === undefined ? NOT_ITS_BUSINESS : String(Array.isArray(value) ? value.length : JSON.stringify(value))
  }
  const accepted = journal.operations.filter(({ outcome }) => outcome === 'accepted')
  const promised = new Set(accepted.flatMap(({ does, key, newKey }) => (does === 'move' ? [newKey] : does === 'remove' ? [] : [key])))
  const ofTasks = calls.filter((call) => !isErrorCallback(call))
  const attempts = entries.flatMap(({ history = [] }) => history)
  const inState = (...states: string[]): string => String(entries.filter(({ task_state: state }) => states.includes(state)).length)
  return [
    ['promised', String(promised.size), String(entries.length), NOT_ITS_BUSINESS, account('due')],
    [
      'unanswered',
      String(journal.operations.filter(({ outcome }) => outcome === 'unknown').length),
      ...Array<string>(3).fill(NOT_ITS_BUSINESS),
    ],
    ['called', NOT_ITS_BUSINESS, String(attempts.length), String(new Set(ofTasks.map(attemptName)).size), NOT_ITS_BUSINESS],
    ['pulled', String(journal.given.length), ...Array<string>(3).fill(NOT_ITS_BUSINESS)],
    ['told of errors', NOT_ITS_BUSINESS, NOT_ITS_BUSINESS, String(calls.length - ofTasks.length), NOT_ITS_BUSINESS],
    [
      'lost on the way',
      NOT_ITS_BUSINESS,
      String(attempts.filter(({ error }) => error?.includes('not known')).length),
      NOT_ITS_BUSINESS,
      NOT_ITS_BUSINESS,
    ],
    ['failed', NOT_ITS_BUSINESS, inState('failed'), NOT_ITS_BUSINESS, account('failed')],
    ['skipped', NOT_ITS_BUSINESS, inState('skipped'), NOT_ITS_BUSINESS, account('skipped')],
    ['waiting', NOT_ITS_BUSINESS, inState('pending', 'running', 'retrying'), NOT_ITS_BUSINESS, account('waiting')],
    ['missed', found('lost'), NOT_ITS_BUSINESS, found('unrecorded', 'unexplained'), account('missed')],
    ['doubled', NOT_ITS_BUSINESS, NOT_ITS_BUSINESS, found('doubled', 'series'), account('doubled')],
    ['early or late', NOT_ITS_BUSINESS, NOT_ITS_BUSINESS, found('early', 'late'), account('late')],
  ]
}
