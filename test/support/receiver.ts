/** A real HTTP endpoint for tests: it records every request that reached it whole and answers as it is told. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

export interface ReceivedRequest {
  readonly method: string
  /** path and query as sent */
  readonly url: string
  readonly headers: IncomingHttpHeaders
  /** names and values alternating, as sent */
  readonly rawHeaders: readonly string[]
  readonly body: string
  /** epoch ms of its last byte */
  readonly at: number
  /** the sender's port: the same for two requests over one connection */
  readonly port: number
}

/** A plain answer (status 200 where none is given), or a function that answers as it likes, or never. */
export type Answer =
  | { readonly status?: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string | Uint8Array }
  | ((response: ServerResponse, request: ReceivedRequest) => void)

export interface Receiver {
  /** without a slash at its end */
  readonly url: string
  /** in the order of arrival */
  readonly requests: readonly ReceivedRequest[]
  /** Sets the answer for a path (without its query), or for every path that has none of its own. */
  answer(path: string | undefined, answer: Answer): void
  /** Resolves with the first `count` requests as soon as that many have arrived. */
  waitFor(count: number): Promise<ReceivedRequest[]>
  /** Cuts every connection and stops listening. */
  close(): Promise<void>
}

/** Listens on a free port of 127.0.0.1 and answers every path with `answer`. */
export async function startReceiver(answer: Answer = {}): Promise<Receiver> {
  const requests: ReceivedRequest[] = []
  const answers = new Map<string | undefined, Answer>([[undefined, answer]])
  const server = createServer((incoming, response) => {
    receive(incoming).then(
      (request) => {
        requests.push(request)
        server.emit('received')
        give(answers.get(request.url.split('?')[0]) ?? answers.get(undefined) ?? {}, response, request)
      },
      // Its sender died before the last byte: it did not reach us whole.
      () => undefined,
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    answer: (path, next) => void answers.set(path, next),
    async waitFor(count) {
      while (requests.length < count) await once(server, 'received')
      return requests.slice(0, count)
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function receive(incoming: IncomingMessage): Promise<ReceivedRequest> {
  const { method = '', url = '', headers, rawHeaders } = incoming
  const body = await text(incoming)
  return { method, url, headers, rawHeaders, body, at: Date.now(), port: incoming.socket.remotePort ?? 0 }
}

function give(answer: Answer, response: ServerResponse, request: ReceivedRequest): void {
  if (typeof answer === 'function') answer(response, request)
  else response.writeHead(answer.status ?? 200, answer.headers).end(answer.body)
}
