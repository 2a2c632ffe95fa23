/** A TCP or TLS server that writes what a test tells it, HTTP or not: for receivers that misbehave. */
import { once } from 'node:events'
import net from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import tls from 'node:tls'
import { CERTIFICATE, PRIVATE_KEY } from './certificate.ts'

export interface RawServer {
  /** without a scheme, such as `127.0.0.1:5000` */
  readonly host: string
  /** the connections made so far, closed ones included */
  readonly connections: readonly Socket[]
  /** Resolves when every connection made so far is closed. */
  readonly closed: () => Promise<void>
  readonly close: () => Promise<void>
}

/** Calls `onRequest` with the socket and the bytes of each packet that a client sends. */
export function startRawServer(onRequest: (socket: Socket, packet: Buffer) => void, address = '127.0.0.1'): Promise<RawServer> {
  return listen(net.createServer(), 'connection', onRequest, address)
}

/** The same over TLS, with the certificate of the tests. */
export function startTlsServer(onRequest: (socket: Socket, packet: Buffer) => void): Promise<RawServer> {
  return listen(tls.createServer({ cert: CERTIFICATE, key: PRIVATE_KEY }), 'secureConnection', onRequest, '127.0.0.1')
}

async function listen(
  server: Server,
  event: string,
  onRequest: (socket: Socket, packet: Buffer) => void,
  address: string,
): Promise<RawServer> {
  const connections: Socket[] = []
  const closings: Promise<unknown>[] = []
  server.on(event, (socket: Socket) => {
    connections.push(socket)
    closings.push(once(socket, 'close').catch(() => undefined))
    // A client that goes away is no failure of the test.
    socket.on('error', () => undefined)
    socket.on('data', (packet: Buffer) => {
      onRequest(socket, packet)
    })
  })
  server.listen(0, address)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    host: `${address.includes(':') ? `[${address}]` : address}:${port}`,
    connections,
    async closed() {
      await Promise.all(closings)
    },
    async close() {
      for (const socket of connections) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
