/** The peer plainjob on better-sqlite3. One of its workers does one job after the other, so there are as many workers as jobs may be in flight. */
import Database from 'better-sqlite3'
import { better, defineQueue, defineWorker, JobStatus } from 'plainjob'
import type { Queue } from 'plainjob'
import { answerAs, call, IN_FLIGHT } from './peer.ts'
import type { CallJob } from './peer.ts'

const TYPE = 'call'
const FILE = /^sqlite:/

/** By default it writes several lines for each job. */
const logger = { error: console.error, warn: console.warn, info: () => undefined, debug: () => undefined }
let queue: Queue

answerAs({
  open: (store) => {
    queue = defineQueue({ connection: better(new Database(store.replace(FILE, ''))), logger })
  },
  add: (job, dueAt) => queue.add(TYPE, job, delayUntil(dueAt)),
  addMany: (jobs, dueAt) => queue.addMany(TYPE, jobs, delayUntil(dueAt)),
  work: () => {
    const work = async ({ data }: { data: string }): Promise<void> => call(JSON.parse(data) as CallJob)
    for (let worker = 0; worker < IN_FLIGHT; worker += 1) void defineWorker(TYPE, work, { queue, logger }).start()
  },
  waiting: () => queue.countJobs() - queue.countJobs({ status: JobStatus.Done }),
})

function delayUntil(dueAt: Date): { delay: number } {
  return { delay: Math.max(0, dueAt.getTime() - Date.now()) }
}
