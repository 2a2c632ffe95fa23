/** What callme itself says about a store: the result of `callme verify`. */
import { execFile } from 'node:child_process'
import { environmentOfOthers } from '../support/program.ts'

const BIN = new URL('../../bin/callme.js', import.meta.url).pathname
const MAX_BYTES = 64 * 2 ** 20

export interface Ledger {
  /** 0 where every promise was kept, 1 where one was not */
  readonly exitCode: number
  /** as `--json` prints it */
  readonly account: Readonly<Record<string, unknown>>
}

/**
 * @param storeUrl as `--store` takes it
 * @returns undefined where this callme has no such command
 * @throws Error where it gives no account
 */
export async function readLedger(storeUrl: string): Promise<Ledger | undefined> {
  const { exitCode, stdout, stderr } = await run(['verify', '--store', storeUrl, '--json'])
  if (stderr.includes("unknown command 'verify'")) return undefined
  if (exitCode !== 0 && exitCode !== 1) throw new Error(`callme verify ended with ${exitCode}: ${stderr}`)
  return { exitCode, account: JSON.parse(stdout) as Record<string, unknown> }
}

function run(args: readonly string[]): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [BIN, ...args], { env: environmentOfOthers(), maxBuffer: MAX_BYTES }, (error, stdout, stderr) => {
      const exitCode = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
      resolve({ exitCode, stdout, stderr })
    })
  })
}
