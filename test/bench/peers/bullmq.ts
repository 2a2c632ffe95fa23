/** The peer BullMQ: one queue, and one worker with as many jobs at once as may be in flight. */
import { Queue, Worker } from 'bullmq'
import { answerAs, call, IN_FLIGHT } from './peer.ts'
import type { CallJob } from './peer.ts'

const NAME = 'call'

let connection = { host: '', port: 0, db: 0 }
let queue: Queue<CallJob>

answerAs({
  open: async (store) => {
    const { hostname, port, pathname } = new URL(store)
    connection = { host: hostname, port: Number(port), db: Number(pathname.slice(1)) }
    queue = new Queue(NAME, { connection }).on('error', () => undefined)
    await queue.waitUntilReady()
  },
  add: (job, dueAt) => queue.add(NAME, job, delayUntil(dueAt)),
  addMany: (jobs, dueAt) => {
    const opts = delayUntil(dueAt)
    return queue.addBulk(jobs.map((data) => ({ name: NAME, data, opts })))
  },
  work: async () => {
    const worker = new Worker<CallJob>(NAME, ({ data }) => call(data), { connection, concurrency: IN_FLIGHT })
    await worker.on('error', console.error).waitUntilReady()
  },
  waiting: async () => {
    const counts = await queue.getJobCounts('wait', 'active', 'delayed', 'failed')
    return Object.values(counts).reduce((sum, count) => sum + count, 0)
  },
})

/** Jobs that are due at once go another way than delayed ones. */
function delayUntil(dueAt: Date): { delay: number } {
  return { delay: Math.max(0, dueAt.getTime() - Date.now()) }
}
