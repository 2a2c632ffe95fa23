/** A fast endpoint in a process of its own: answers every request, at once unless it is told otherwise, and notes when each arrived and what it was for. */
import { createServer } from 'node:http'
import { answerParent } from './child.ts'
import { listen } from './listen.ts'

export type ReceiverVerbs = typeof verbs

let arrivals: number[] = []
let paths = new Map<string, number>()
let answered = new Set<string>()
let answerAfterMs = 0
const waiting = new Map<number, () => void>()

const server = createServer(({ url = '', socket }, response) => {
  const count = arrivals.push(Date.now())
  paths.set(url, (paths.get(url) ?? 0) + 1)
  const answer = (): void => {
    if (socket.destroyed) return
    answered.add(url)
    response.writeHead(200, { 'content-type': 'text/plain', 'content-length': 2 }).end('ok')
  }
  if (answerAfterMs === 0) answer()
  else setTimeout(answer, answerAfterMs)
  waiting.get(count)?.()
})
server.keepAliveTimeout = 60_000

const verbs = {
  /** @param host an address of this machine, where it is not only 127.0.0.1. @returns the URL to call */
  start: async (host?: string) => `http://${await listen(server, host)}/`,

  /** Forgets what has arrived. From now on it takes so long to answer. */
  reset: (afterMs = 0) => {
    arrivals = []
    paths = new Map()
    answered = new Set()
    answerAfterMs = afterMs
    waiting.clear()
  },

  /** Answers once that many requests have arrived. */
  arrival: (count: number) => (arrivals.length >= count ? undefined : new Promise<void>((resolve) => void waiting.set(count, resolve))),

  /** When each request arrived, epoch ms, in order. */
  arrivals: () => Float64Array.from(arrivals),

  /** How many paths were called and answered before the caller was gone, and how many were called more than once. */
  paths: () => ({ answered: answered.size, repeated: [...paths.values()].filter((times) => times > 1).length }),
}
answerParent(verbs)
