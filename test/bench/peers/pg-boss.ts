/** The peer pg-boss: one worker that fetches as many jobs as may be in flight, at once again while it gets that many, and settles each by itself. */
import { PgBoss } from 'pg-boss'
import { answerAs, call, IN_FLIGHT } from './peer.ts'
import type { CallJob } from './peer.ts'

const QUEUE = 'call'
/** More workers with smaller batches fetch and complete with more statements, and are slower. */
const WORK = { batchSize: IN_FLIGHT, burstWhenBatchFull: true, perJobResults: true } as const

let boss: PgBoss

answerAs({
  open: async (store) => {
    boss = new PgBoss(store).on('error', console.error)
    await boss.start()
    await boss.createQueue(QUEUE)
  },
  add: (job, startAfter) => boss.send(QUEUE, job, { startAfter }),
  addMany: (jobs, startAfter) =>
    boss.insert(
      QUEUE,
      jobs.map((data) => ({ data, startAfter })),
    ),
  work: () =>
    boss.work<CallJob>(QUEUE, WORK, (jobs) =>
      Promise.all(
        jobs.map(async ({ id, data }) => {
          try {
            await call(data)
            return { id, status: 'completed' as const }
          } catch (error) {
            return { id, status: 'failed' as const, output: { message: String(error) } }
          }
        }),
      ),
    ),
  waiting: async () => {
    const { rows } = await boss.getDb().executeSql(`SELECT count(*) FROM pgboss.job WHERE state <> 'completed'`)
    return Number(rows[0]?.count)
  },
})
