/** Stands between a client and a PostgreSQL server, passes on every byte, and breaks connections where a test wants it. */
import { once } from 'node:events'
import net from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

/** Where a connection breaks: at the packet of a client that holds the text `at`, or runs a statement with it that the session keeps. */
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
  /** What clients have asked to be run so far: the text, and the name under which a session is to keep it, mostly none. */
  readonly statements: readonly { readonly text: string; readonly keptAs: string }[]
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
  const statements: PostgresProxy['statements'][number][] = []
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
    const read = statementReader()
    client.on('data', (packet: Buffer) => {
      const run = read(packet)
      statements.push(...run)
      const { at } = pending ?? {}
      const isHere = at !== undefined && (packet.includes(at) || run.some(({ text }) => text.includes(at)))
      const here = isHere ? pending : undefined
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
    server.on('data', (packet: Buffer) => {
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
    statements,
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

/**
 * Reads the messages of a client (PostgreSQL, Frontend/Backend Protocol): `Q` runs a text, `P` parses one under a name, and `B` with that
 * name runs it. @returns a function that says what the messages of a packet run
 */
function statementReader(): (packet: Buffer) => PostgresProxy['statements'][number][] {
  let bytes = Buffer.alloc(0)
  let isStartup = true
  const texts = new Map<string, string>()
  return (packet) => {
    const run: PostgresProxy['statements'][number][] = []
    bytes = Buffer.concat([bytes, packet])
    for (;;) {
      // Only the first message has no type before its length.
      const start = isStartup ? 0 : 1
      const end = bytes.length < start + 4 ? Infinity : start + bytes.readUInt32BE(start)
      if (bytes.length < end) return run
      const type = isStartup ? '' : bytes.toString('latin1', 0, 1)
      const [first = '', second = ''] = bytes.toString('utf8', start + 4, end).split('\0')
      if (type === 'Q') run.push({ text: first, keptAs: '' })
      if (type === 'P') texts.set(first, second)
      if (type === 'B') run.push({ text: texts.get(second) ?? '', keptAs: second })
      bytes = bytes.subarray(end)
      isStartup = false
    }
  }
}
