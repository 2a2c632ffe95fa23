/** The load of the latency bench: one API read every few ms over kept connections, whether or not the ones before were answered. */
import { Agent, get } from 'node:http'
import { answerParent } from './child.ts'

export type ReadLoadVerbs = typeof verbs

const agent = new Agent({ keepAlive: true })
let timer: NodeJS.Timeout | undefined
let reads: Promise<number>[] = []

const verbs = {
  start: (url: string, everyMs: number) => {
    reads = []
    timer = setInterval(() => reads.push(read(url)), everyMs)
  },

  /** How long each read since `start` waited for its whole answer, ms. */
  stop: async () => {
    clearInterval(timer)
    return Float64Array.from(await Promise.all(reads))
  },
}
answerParent(verbs)

function read(url: string): Promise<number> {
  const startedAt = performance.now()
  return new Promise((resolve, reject) => {
    const request = get(url, { agent }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`a read was answered ${response.statusCode ?? ''}`))
      response.resume().once('end', () => {
        resolve(performance.now() - startedAt)
      })
    })
    request.once('error', reject)
  })
}
