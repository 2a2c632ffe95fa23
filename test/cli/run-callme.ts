/** Runs the real program to its end. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { environmentOfOthers } from '../support/program.ts'

export const PROGRAM = fileURLToPath(new URL('../../bin/callme.js', import.meta.url))

export interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/**
 * The program sees no CALLME_ variables but those of `env`.
 * @param nodeFlags flags of Node.js itself
 */
export function runCallme(args: readonly string[], env: Record<string, string> = {}, nodeFlags: readonly string[] = []): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const options = { env: { ...environmentOfOthers(), ...env } }
    execFile(process.execPath, [...nodeFlags, PROGRAM, ...args], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code
      if (typeof code === 'number') resolve({ code, stdout, stderr })
      else reject(new Error('the program did not end by itself', { cause: error }))
    })
  })
}
