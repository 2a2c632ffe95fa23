/** Shows a run: its plan, and at its end what the ledger, the receiver, the journal and the store say, side by side. */
import { attemptName } from './attempt-book.ts'
import type { ChaosResult } from './chaos.ts'
import type { Rule } from './evidence.ts'
import { describeFault } from './plan.ts'
import type { Fault, StoreKind } from './plan.ts'
import { isErrorCallback } from './stored-rules.ts'

const WITNESSES = ['ledger', 'receiver', 'journal', 'store'] as const
const MOST_SHOWN = 40

interface Row extends Partial<Record<(typeof WITNESSES)[number], number>> {
  readonly what: string
  /** the promises that were not kept */
  readonly broken?: readonly Rule[]
}

export function describePlan(store: StoreKind, plan: readonly Fault[]): string {
  return [`${store}, ${plan.length} misfortunes:`, ...plan.map((fault) => `  ${describeFault(fault)}`)].join('\n')
}

/** A table with a column for each witness and one for what is held against callme, how late it was, and each finding. */
export function describeResult(result: ChaosResult): string {
  const { store, findings, ledger } = result
  const lines = [['', ...WITNESSES, 'broken'], ...rowsOf(result).map((row) => cellsOf(row, result))]
  const widths = lines.reduce<number[]>((widest, cells) => cells.map((cell, column) => Math.max(cell.length, widest[column] ?? 0)), [])
  const align = (cell: string, column: number): string => cell[column === 0 ? 'padEnd' : 'padStart'](widths[column] ?? 0)
  const { p50, p99, max } = ledger.lateness
  return [
    `${store}: ${findings.length === 0 ? 'every promise was kept' : `${findings.length} findings`}`,
    ...lines.map((cells) => `  ${cells.map(align).join('  ')}`),
    `  lateness of attempts, also of those that had to wait until somebody was back: p50 ${p50} ms, p99 ${p99} ms, max ${max} ms`,
    ...findings.slice(0, MOST_SHOWN).map(({ rule, detail }) => `  ${rule}: ${detail}`),
    ...(findings.length > MOST_SHOWN ? [`  and ${findings.length - MOST_SHOWN} more`] : []),
  ].join('\n')
}

function cellsOf(row: Row, { findings }: ChaosResult): string[] {
  const broken = row.broken && findings.filter(({ rule }) => row.broken?.includes(rule)).length
  return [row.what, ...[...WITNESSES.map((witness) => row[witness]), broken].map((count) => String(count ?? '-'))]
}

function rowsOf({ evidence, ledger }: ChaosResult): Row[] {
  const { journal, entries, calls } = evidence
  const accepted = journal.operations.filter(({ outcome }) => outcome === 'accepted')
  const promised = new Set(accepted.flatMap(({ does, key, newKey }) => (does === 'move' ? [newKey] : does === 'remove' ? [] : [key])))
  const ofTasks = calls.filter((call) => !isErrorCallback(call))
  const attempts = entries.flatMap(({ history = [] }) => history)
  const inState = (...states: string[]): number => entries.filter(({ task_state: state }) => states.includes(state)).length
  const lost = attempts.filter(({ outcome }) => outcome === 'lost').length
  return [
    {
      what: 'promised tasks',
      ledger: ledger.due,
      journal: promised.size,
      store: entries.length,
      broken: ['lost', 'invented', 'ledger', 'answer'],
    },
    { what: 'requests not answered', journal: journal.operations.filter(({ outcome }) => outcome === 'unknown').length },
    {
      what: 'called attempts',
      receiver: new Set(ofTasks.map(attemptName)).size,
      store: attempts.length,
      broken: ['unrecorded', 'unexplained'],
    },
    { what: 'given to workers', journal: journal.given.length },
    { what: 'error callbacks', receiver: calls.length - ofTasks.length },
    { what: 'lost on the way', ledger: ledger.lost_attempts, store: lost },
    { what: 'failed', ledger: ledger.failed, store: inState('failed') },
    { what: 'skipped', ledger: ledger.skipped, store: inState('skipped') },
    { what: 'removed', ledger: ledger.removed },
    { what: 'waiting', ledger: ledger.waiting, store: inState('pending', 'running', 'retrying'), broken: ['waiting'] },
    { what: 'missed', ledger: ledger.broken.missed, broken: ['series'] },
    { what: 'doubled', ledger: ledger.broken.doubled, receiver: calls.length - new Set(calls.map(attemptName)).size, broken: ['doubled'] },
    { what: 'early', ledger: ledger.broken.early, broken: ['early'] },
    { what: 'late', ledger: ledger.broken.late, broken: ['late'] },
  ]
}
