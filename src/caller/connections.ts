/** The connections to receivers: each carries one call at a time, and is kept for a short while where the call allows it. */
import type { Socket } from 'node:net'
import { Client } from 'undici'
import { AnswerHead, tapAnswers } from './answer-head.ts'
import { createConnector, type Connecting, type Connector } from './connector.ts'
import type { NameLookup } from './name-lookup.ts'

/** Receivers close idle connections. A connection that idles for longer than this is not used again. */
const IDLE_MS = 500
const MAX_HEADER_BYTES = 256 * 1024

// Time is limited by the call alone. A hint of the receiver may shorten the time for which a connection is kept, never lengthen it.
const CLIENT_OPTIONS: Client.Options = {
  ...{ headersTimeout: 0, bodyTimeout: 0, keepAliveTimeout: IDLE_MS, keepAliveMaxTimeout: IDLE_MS },
  ...{ pipelining: 1, allowH2: false, maxHeaderSize: MAX_HEADER_BYTES },
}

/**
 * One undici client, and so at most one socket. The client opens another socket only for a request that it has not begun to write,
 * where a kept socket has closed in the meantime.
 */
export class Connection {
  /** of the answer to the present call */
  readonly head = new AnswerHead()
  readonly client: Client
  #connecting: Connecting | undefined
  #socket: Socket | undefined

  /** @param origin such as `http://example.com:8080` */
  constructor(origin: string, connector: Connector) {
    this.client = new Client(origin, {
      ...CLIENT_OPTIONS,
      connect: (destination, callback) => {
        this.#connecting = connector(destination, (error, socket) => {
          if (socket === undefined) {
            callback(error ?? new Error('there is no socket'), null)
            return
          }
          this.#socket = socket
          tapAnswers(socket, this.head)
          callback(null, socket)
        })
      },
    })
  }

  /** Whether the name server has not answered yet. */
  get isResolving(): boolean {
    return this.#connecting?.isResolving ?? false
  }

  /** Whether a part of the request waits to be sent. */
  get isSending(): boolean {
    return (this.#socket?.writableLength ?? 0) > 0
  }

  /** Cuts the call under way, in whatever stage it is. */
  cut(): void {
    this.#connecting?.cancel()
    void this.client.destroy()
  }
}

export class Connections {
  readonly #connector: Connector
  /** by origin; the one that was used last comes first */
  readonly #idle = new Map<string, Connection[]>()

  constructor(names: NameLookup) {
    this.#connector = createConnector(names)
  }

  /** A new connection. */
  open(origin: string): Connection {
    return new Connection(origin, this.#connector)
  }

  /** An idle connection, or a new one that may be kept. */
  take(origin: string): Connection {
    const idle = this.#idle.get(origin)?.pop()
    if (idle !== undefined) return idle
    const connection = this.open(origin)
    connection.client.on('disconnect', () => {
      this.#forget(origin, connection)
    })
    return connection
  }

  /** Keeps a connection for the next call, until it closes. */
  keep(origin: string, connection: Connection): void {
    const idle = this.#idle.get(origin)
    if (idle === undefined) this.#idle.set(origin, [connection])
    else idle.push(connection)
  }

  #forget(origin: string, connection: Connection): void {
    const idle = this.#idle.get(origin)
    const at = idle?.indexOf(connection) ?? -1
    if (at !== -1) idle?.splice(at, 1)
    if (idle?.length === 0) this.#idle.delete(origin)
  }
}
