/** Runs a TypeScript file beside this one in a process of its own. */
import { spawn } from 'node:child_process'
import type { ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

export interface Child {
  /** what it prints, line by line; a last line without an end is left out */
  readonly lines: AsyncIterable<string>
  /** Ends it as a crash would, and resolves when it is gone. */
  kill(): Promise<void>
}

/** The process is killed, where it still lives, when the test ends. */
export function startChild(file: string, ...args: readonly string[]): Child {
  const script = fileURLToPath(new URL(file, import.meta.url))
  const child: ChildProcessByStdio<Writable, Readable, null> = spawn(process.execPath, [script, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = once(child, 'close')
  const kill = async () => {
    child.kill('SIGKILL')
    await ended
  }
  onTestFinished(kill)
  return { lines: wholeLines(child.stdout), kill }
}

/** A line that a kill cut off is not passed on. */
async function* wholeLines(stream: Readable): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of stream.setEncoding('utf8') as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
}
