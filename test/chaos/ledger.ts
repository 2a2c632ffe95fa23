/** What callme itself says about a store, and whether that is what the store shows through the API. */
import { execFile } from 'node:child_process'
import type { WireTask } from '../../src/wire/present-task.ts'
import type { LedgerReport } from '../../src/verify/verify.ts'
import { environmentOfOthers } from '../support/program.ts'
import type { Finding } from './evidence.ts'

const BIN = new URL('../../bin/callme.js', import.meta.url).pathname
const MAX_BYTES = 64 * 2 ** 20

/**
 * Runs `callme verify`.
 * @param storeUrl as `--store` takes it
 * @throws Error where it gives no account, or its exit code is not what its account says
 */
export async function readLedger(storeUrl: string): Promise<LedgerReport> {
  const { exitCode, stdout, stderr } = await run(['verify', '--store', storeUrl, '--json'])
  const report = exitCode === 0 || exitCode === 1 ? (JSON.parse(stdout) as LedgerReport) : undefined
  if (report?.ok !== (exitCode === 0)) throw new Error(`callme verify ended with ${exitCode}: ${stderr}${stdout.slice(0, 1000)}`)
  return report
}

/** Each promise that the ledger says was broken, and each count that is not that of the entries. */
export function checkLedger(report: LedgerReport, entries: readonly WireTask[]): Finding[] {
  const breaches = report.breaches.map(({ promise, task, detail }) => `says ${promise} of ${task ?? 'the store'}: ${detail}`)
  const runs = entries.flatMap(({ run_id: present, task_state: state, history = [] }) =>
    [...Map.groupBy(history, ({ run_id: runId }) => runId)].map(([runId, ofRun]) => ({
      ended: ofRun.at(-1)?.outcome,
      state: runId === present && state,
    })),
  )
  const counts: readonly (readonly [what: string, said: number, shown: number])[] = [
    ['successful', report.on_time + report.early + report.late, runs.filter(({ ended }) => ended === 'successful').length],
    ['skipped', report.skipped, entries.filter(({ task_state: state }) => state === 'skipped').length],
    ['failed', report.failed, runs.filter(({ ended, state }) => ended === 'failed' || state === 'failed').length],
    ['waiting', report.waiting, 0],
    ['lost', report.lost_attempts, entries.flatMap(({ history = [] }) => history).filter(({ outcome }) => outcome === 'lost').length],
  ]
  const differences = counts
    .filter(([, said, shown]) => said !== shown)
    .map(([what, said, shown]) => `counts ${said} ${what}, there are ${shown}`)
  return [...breaches, ...differences].map((detail) => ({ rule: 'ledger', detail: `callme verify ${detail}` }))
}

function run(args: readonly string[]): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [BIN, ...args], { env: environmentOfOthers(), maxBuffer: MAX_BYTES }, (error, stdout, stderr) => {
      const exitCode = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
      resolve({ exitCode, stdout, stderr })
    })
  })
}
