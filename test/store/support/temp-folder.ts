/** A folder of its own for a test, removed when the test ends. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** @returns the path of a folder that exists and is empty */
export function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'callme-store-'))
  onTestFinished(() => {
    rmSync(folder, { recursive: true, force: true })
  })
  return folder
}
