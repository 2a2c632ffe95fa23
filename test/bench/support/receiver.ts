/** A fast endpoint in a process of its own: answers every request at once and notes when each arrived. */
import { createServer } from 'node:http'
import { answerParent } from './child.ts'
import { listen } from './listen.ts'

export type ReceiverVerbs = typeof verbs

let arrivals: number[] = []
const waiting = new Map<number, () => void>()

const server = createServer((_request, response) => {
  const count = arrivals.push(Date.now())
  response.writeHead(200, { 'content-type': 'text/plain', 'content-length': 2 }).end('ok')
  waiting.get(count)?.()
})
server.keepAliveTimeout = 60_000

const verbs = {
  /** @param host an address of this machine, where it is not only 127.0.0.1. @returns the URL to call */
  start: async (host?: string) => `http://${await listen(server, host)}/`,

  /** Forgets what has arrived. */
  reset: () => {
    arrivals = []
    waiting.clear()
  },

  /** Answers once that many requests have arrived. */
  arrival: (count: number) => (arrivals.length >= count ? undefined : new Promise<void>((resolve) => void waiting.set(count, resolve))),

  /** When each request arrived, epoch ms, in order. */
  arrivals: () => Float64Array.from(arrivals),
}
answerParent(verbs)
