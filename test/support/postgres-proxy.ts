/** Stands between a client and a PostgreSQL server, passes on every byte, and breaks connections where a test wants it. */
import { once } from 'node:events'
import net from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

/** Where a connection breaks: at the packet of a client that holds the text `at`. */
export interface Break {
  readonly at: string
  /**
   * What becomes of the packet: it does not reach the server; it does, and the connection breaks at once; or it breaks when the server has
   * answered, which the client does not see.
   */
  readonly answer: 'never asked' | 'not awaited' | 'swallowed'
}

export interface PostgresProxy {
  /** that of the database, through the proxy */
  readonly url: string
  /** Breaks all connections that there are. @returns how many */
  breakAll(): number
  /** Breaks the next connection that comes to such a packet; resolves when it is broken. */
  breakNext(where: Break): Promise<void>
  close(): Promise<void>
}

/** @param databaseUrl of a server that is reached without TLS */
export async function startPostgresProxy(databaseUrl: string): Promise<PostgresProxy> {
  const url = new URL(databaseUrl)
  const [host, port] = [url.hostname, Number(url.port)]
  const pairs = new Set<readonly [Socket, Socket]>()
  let pending: (Break & { broken: () => void }) | undefined
  const proxy = net.createServer((client) => {
    const server = net.connect({ host, port, noDelay: true })
    client.setNoDelay(true)
    const pair = [client, server] as const
    pairs.add(pair)
    const end = (): void => {
      pairs.delete(pair)
      for (const socket of pair) socket.destroy()
    }
    for (const socket of pair) socket.on('error', end).on('close', end)
    let swallowed: (() => void) | undefined
    client.on('data', (packet) => {
      const here = pending !== undefined && packet.includes(pending.at) ? pending : undefined
      if (here === undefined) {
        server.write(packet)
        return
      }
      pending = undefined
      const leave = (): void => {
        end()
        here.broken()
      }
      if (here.answer === 'swallowed') swallowed = leave
      if (here.answer === 'never asked') leave()
      else
        server.write(packet, () => {
          if (here.answer === 'not awaited') leave()
        })
    })
    server.on('data', (packet) => {
      if (swallowed === undefined) client.write(packet)
      else swallowed()
    })
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  url.host = `127.0.0.1:${(proxy.address() as AddressInfo).port}`
  const breakAll = (): number => {
    const broken = [...pairs]
    for (const [client] of broken) client.destroy()
    return broken.length
  }
  return {
    url: url.href,
    breakAll,
    breakNext(where) {
      return new Promise((broken) => {
        pending = { ...where, broken }
      })
    },
    async close() {
      breakAll()
      await new Promise((resolve) => proxy.close(resolve))
    },
  }
}
