/** The text for a person when a command fails, and its exit code. */
import { isIPv6 } from 'node:net'
import { CallmeError } from '../../domain/errors.ts'

const LISTEN_REMEDIES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there: stop it, or choose another address with --listen',
  EADDRNOTAVAIL: 'this machine has no such address: choose another one with --listen',
  EACCES: 'the system does not allow it: choose a port above 1023 with --listen',
  ENOTFOUND: 'the host name is not known: choose another address with --listen',
  EAI_AGAIN: 'the host name could not be looked up: write an IP address in --listen',
}

/** A sentence where a person can put the failure right; the stack for a defect of the program. Exit code 2 means wrong settings. */
export function describeFailure(error: unknown): { message: string; exitCode: 1 | 2 } {
  if (error instanceof CallmeError) return { message: prefixed(error.message), exitCode: error.code === 'bad_config' ? 2 : 1 }
  return { message: listenFailure(error) ?? prefixed(error instanceof Error ? (error.stack ?? error.message) : String(error)), exitCode: 1 }
}

function listenFailure(error: unknown): string | undefined {
  const { syscall, code, address, hostname, port } = error as NodeJS.ErrnoException & { address?: string; hostname?: string; port?: number }
  const remedy = syscall === 'listen' || syscall === 'getaddrinfo' ? LISTEN_REMEDIES[code ?? ''] : undefined
  const host = address ?? hostname ?? ''
  const place = `${isIPv6(host) ? `[${host}]` : host}${port === undefined ? '' : `:${port}`}`
  return remedy === undefined ? undefined : prefixed(`cannot listen on ${place}: ${remedy}`)
}

function prefixed(text: string): string {
  return text.replace(/^/gm, 'callme: ')
}
