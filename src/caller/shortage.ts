/** Tells a shortage of the node itself from a fault of the receiver. */
import { isIPv6 } from 'node:net'
import { networkInterfaces } from 'node:os'

/** Of descriptors, memory, buffers, threads and local ports. */
const CODES = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EAGAIN', 'EAI_MEMORY', 'EADDRNOTAVAIL', 'ERR_WORKER_INIT_FAILED'])

/** Whether something could not be begun for want of a resource of the node. A connection to many addresses fails as the last of them. */
export function isShortage(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.length > 0 && error.errors.every(isShortage)
  if (!(error instanceof Error) || !('code' in error) || !CODES.has(String(error.code))) return false
  return error.code !== 'EADDRNOTAVAIL' || hasFamilyOf('address' in error ? String(error.address) : '')
}

/** Without an IPv6 address of its own, a machine says of each IPv6 address what it otherwise says when its local ports are used up. */
function hasFamilyOf(address: string): boolean {
  if (!isIPv6(address)) return true
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  return own.some(({ family, internal }) => family === 'IPv6' && (internal || address !== '::1'))
}
