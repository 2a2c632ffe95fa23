/** The load of the register bench, by autocannon in a process of its own: PUTs of distinct random names over a number of connections. */
import { randomBytes } from 'node:crypto'
import autocannon from 'autocannon'
import { answerParent } from './child.ts'

export interface PutLoad {
  /** of the API, without a path */
  readonly url: string
  /** one for all, or one for each request */
  readonly body: string | readonly string[]
  readonly requests: number
  readonly connections: number
}

const SAMPLE_MS = 10

export type PutLoadVerbs = typeof verbs

const verbs = {
  /** Sends every request once. Answers how long it took, and how much of its own core the load needed. */
  run: async ({ url, body, requests, connections }: PutLoad): Promise<{ seconds: number; ownCpuShare: number }> => {
    let clients = 0
    const load = autocannon({
      url,
      method: 'PUT',
      ...(typeof body === 'string' && { body }),
      connections,
      amount: requests,
      // The end is seen at the next sample.
      sampleInt: SAMPLE_MS,
      setupClient: (client) => {
        const first = clients++
        const shared = Array.from({ length: Math.ceil((requests - first) / connections) }, (_, index) => first + index * connections)
        client.setRequests(shared.map((request) => requestOf(typeof body === 'string' ? undefined : body[request])))
      },
    })
    // Every request is built before the first one is sent, and is not part of what is measured.
    await new Promise<void>((resolve) => void load.once('start', resolve))
    const [startedAt, cpuAtStart] = [performance.now(), process.cpuUsage()]
    const result = await load
    const [tookMs, cpu] = [performance.now() - startedAt, process.cpuUsage(cpuAtStart)]
    if (result['2xx'] !== requests) {
      throw new Error(`${requests} PUTs were answered ${JSON.stringify(result.statusCodeStats)}, ${result.errors + result.timeouts} failed`)
    }
    return { seconds: tookMs / 1000, ownCpuShare: (cpu.user + cpu.system) / 1000 / tookMs }
  },
}
answerParent(verbs)

function requestOf(body: string | undefined): { path: string; body?: string } {
  return { path: `/task/${randomBytes(9).toString('hex')}`, ...(body !== undefined && { body }) }
}
