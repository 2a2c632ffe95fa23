/** A report of the ledger as text for a person. */
import type { LatenessSummary } from '../../domain/ledger/lateness.ts'
import { LISTED, type LedgerReport } from '../../verify/verify.ts'

const LABEL_WIDTH = 14

/** @param where the name of the store */
export function reportText(where: string, report: LedgerReport): string {
  const counts = [
    line('due', report.due),
    line('  on time', report.on_time),
    ...(report.early > 0 ? [line('  early', report.early)] : []),
    line('  late', report.late),
    ...withReasons('  skipped', report.skipped, report.reasons.skipped),
    ...withReasons('  failed', report.failed, report.reasons.failed),
    line('  removed', report.removed),
    line('  waiting', report.waiting),
    line('  missed', report.missed),
    line('not due yet', report.not_due),
  ]
  const lost =
    report.lost_attempts === 0 ? [] : [`${report.lost_attempts} attempts were lost with their node or worker, and use up no retry`]
  const sections = [[`${where}, ${rangeText(report)}`], counts, [...latenessText(report.lateness), ...lost], verdict(report)]
  return sections.map((lines) => `${lines.join('\n')}\n`).join('\n')
}

function rangeText({ from, to, at }: LedgerReport): string {
  if (from === null && to === null) return `all runs recorded, at ${at}`
  return `runs of minutes${from === null ? '' : ` from ${from}`}${to === null ? '' : ` to ${to}`}, at ${at}`
}

function line(label: string, runs: number, reason = ''): string {
  return `${label.padEnd(LABEL_WIDTH)}${String(runs).padStart(10)}${reason && `   ${reason}`}`
}

function withReasons(label: string, runs: number, reasons: Readonly<Record<string, number>>): string[] {
  return [line(label, runs), ...Object.entries(reasons).map(([reason, count]) => line('', count, reason))]
}

function latenessText({ attempts, p50, p99, max, ...over }: LatenessSummary): string[] {
  if (attempts === 0) return ['no lateness was recorded']
  return [
    `lateness of ${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}, from due to the start of the call: p50 ${p50} ms, p99 ${p99} ms, max ${max} ms`,
    `started more than 1 s late: ${over.over_1s}, more than 10 s: ${over.over_10s}, more than 60 s: ${over.over_60s}`,
  ]
}

function verdict({ ok, broken, breaches }: LedgerReport): string[] {
  if (ok) return ['every promise was kept']
  const counts = Object.entries(broken).flatMap(([promise, times]) => (times === 0 ? [] : [`${promise} ${times}`]))
  const isCut = Object.values(broken).some((times) => times > LISTED)
  return [
    `promises were broken: ${counts.join(', ')}`,
    ...breaches.map(
      ({ promise, task, run_id: runId, detail }) => `  ${promise}  ${task === null ? detail : `${task}  ${detail}  (run ${runId})`}`,
    ),
    ...(isCut ? [`  … of each kind the first ${LISTED}`] : []),
  ]
}
