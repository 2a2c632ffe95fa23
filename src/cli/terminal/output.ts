/** Standard output: the log of a node, and what a command prints. A reader that has gone, as in `callme --help | head -1`, ends nothing and is no failure. */
import { createWriteStream } from 'node:fs'
import { LogOutput } from '../../telemetry/log-output.ts'

/** Without a listener, a failed write would end the process with a stack. */
export function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)
}

/** Where a node logs. A terminal that is held with Ctrl-S would hold the node too if it were written to in the main thread. */
export function logOutput(): LogOutput {
  if (!process.stdout.isTTY) return new LogOutput(process.stdout, { isTTY: false })
  return new LogOutput(
    createWriteStream('', { fd: process.stdout.fd, autoClose: false }).on('error', () => undefined),
    { isTTY: true },
  )
}

/** Prints the result of a command. Where it cannot be written, as on a full disk, the command fails. */
export function print(text: string): void {
  process.stdout.write(text, (error) => {
    if (!error || (error as NodeJS.ErrnoException).code === 'EPIPE') return
    process.stderr.write(`callme: the output cannot be written: ${error.message}\n`)
    process.exitCode = 1
  })
}
