/** The address of the API: reads it, and finds whether other machines can reach it. */
import { BlockList, isIP, isIPv6 } from 'node:net'

/** An empty host means every interface, port 0 any free port. */
export interface Listen {
  readonly host: string
  readonly port: number
}

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

/** Reads `host:port`, `[::1]:port` or `:port`. @returns undefined where the text is none of these */
export function parseListen(text: string): Listen | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text)
  const [bracketed, bare = '', port] = [match?.[1], match?.[2], Number(match?.[3])]
  const isHost = bracketed === undefined ? bare === '' || isIP(bare) !== 0 || isHostName(bare) : isIPv6(bracketed)
  return match !== null && isHost && port <= 65_535 ? { host: bracketed ?? bare, port } : undefined
}

function isHostName(text: string): boolean {
  return /^[\w.-]+$/.test(text) && /[a-z]/i.test(text)
}

export function isLoopback(host: string): boolean {
  return host.toLowerCase() === 'localhost' || (isIP(host) !== 0 && LOOPBACK.check(host, isIPv6(host) ? 'ipv6' : 'ipv4'))
}
