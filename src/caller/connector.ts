/**
 * Opens the connection of a call: looks up the name, connects, and speaks TLS where the URL says so.
 * This is the one place where addresses can be guarded: a literal before its use, the addresses of a name after the lookup, and the
 * address of the connected socket before the first byte. What was looked up is what is connected to.
 */
import { connect as connectTcp, isIP, type LookupFunction, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Addresses, NameLookup } from './name-lookup.ts'

/** Of several addresses, one that does not respond gives way to the next one after so long. The last one has no limit. */
const NEXT_ADDRESS_AFTER_MS = 1000
const MAX_SESSIONS = 100

export interface Destination {
  /** a name or an address, an IPv6 address without brackets */
  readonly hostname: string
  readonly protocol: string
  /** empty for the default of the protocol */
  readonly port: string
  /** the name that the certificate must be for, where it is not the host's */
  readonly servername?: string | null | undefined
}

export interface Connecting {
  /** whether the name server has not answered yet */
  isResolving: boolean
  /** Closes whatever is open. Nobody is called back after that. */
  cancel(): void
}

/** Calls back once, with the open socket or with the reason why there is none. */
export type Connector = (destination: Destination, done: (error: Error | null, socket?: Socket) => void) => Connecting

/** Remembers TLS sessions, so that most handshakes are short. */
export function createConnector(names: NameLookup): Connector {
  const sessions = new Map<string, Buffer>()

  function open({ hostname, protocol, port, servername }: Destination, addresses: Addresses): { socket: Socket; event: string } {
    const common = { host: hostname, lookup: pinned(addresses), autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_AFTER_MS }
    if (protocol === 'http:') return { socket: connectTcp({ ...common, port: Number(port || 80) }), event: 'connect' }
    const wanted = servername || (isIP(hostname) ? '' : hostname)
    const key = `${wanted}@${hostname}:${port}`
    const session = sessions.get(key)
    const options = { servername: wanted, ALPNProtocols: ['http/1.1'], ...(session !== undefined && { session }) }
    const socket = connectTls({ ...common, ...options, port: Number(port || 443) })
    socket.on('session', (fresh) => {
      sessions.delete(key)
      sessions.set(key, fresh)
      for (const oldest of sessions.keys()) if (sessions.size > MAX_SESSIONS) sessions.delete(oldest)
    })
    return { socket, event: 'secureConnect' }
  }

  return (destination, done) => {
    const { hostname } = destination
    const family = isIP(hostname)
    let opened: Socket | undefined
    let stopLookup: (() => void) | undefined
    let isOver = false
    const finish = (error: Error | null): void => {
      if (isOver) return
      isOver = true
      if (error === null) done(null, opened)
      else done(error)
    }
    const connecting: Connecting = {
      isResolving: family === 0,
      cancel() {
        isOver = true
        stopLookup?.()
        opened?.destroy()
      },
    }
    const connect = (addresses: Addresses): void => {
      connecting.isResolving = false
      const { socket, event } = open(destination, addresses)
      opened = socket.setNoDelay(true)
      socket.once(event, () => {
        finish(null)
      })
      socket.on('error', (error) => {
        if (!isOver) names.expire(hostname)
        finish(error)
      })
    }
    if (family !== 0) connect([{ address: hostname, family }])
    else {
      stopLookup = names.resolve(hostname, (error, addresses) => {
        if (error === null) connect(addresses)
        else finish(error)
      })
    }
    return connecting
  }
}

/** What was found, for whoever asks. */
function pinned(addresses: Addresses): LookupFunction {
  return (_, { all }, callback) => {
    const [first] = addresses
    if (all) callback(null, [...addresses])
    else callback(null, first?.address ?? '', first?.family)
  }
}
