/** What a command prints. A reader that has gone, as in `callme --help | head -1`, ends nothing and is no failure. */

/** Without a listener, a failed write would end the process with a stack. */
export function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)
}

/** Prints the result of a command. Where it cannot be written, as on a full disk, the command fails. */
export function print(text: string): void {
  process.stdout.write(text, (error) => {
    if (!error || (error as NodeJS.ErrnoException).code === 'EPIPE') return
    process.stderr.write(`callme: the output cannot be written: ${error.message}\n`)
    process.exitCode = 1
  })
}
