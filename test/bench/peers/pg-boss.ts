/** The peer pg-boss: one worker that fetches as many jobs as may be in flight, at once again while it gets that many, and settles each by itself. */
import { PgBoss } from 'pg-boss'
import { answerParent } from '../support/child.ts'
import { call, IN_FLIGHT } from './peer.ts'
import type { CallJob, PeerVerbs } from './peer.ts'

const QUEUE = 'call'

const verbs: PeerVerbs = {
  store: async (connectionString, jobs, url) => {
    const boss = new PgBoss(connectionString)
    await boss.start()
    await boss.createQueue(QUEUE)
    const data: CallJob = { url }
    await boss.insert(
      QUEUE,
      Array.from({ length: jobs }, () => ({ data })),
    )
    await boss.stop()
  },

  start: async (connectionString) => {
    const boss = new PgBoss(connectionString).on('error', console.error)
    await boss.start()
    // More workers with smaller batches fetch and complete with more statements, and are slower.
    const options = { batchSize: IN_FLIGHT, burstWhenBatchFull: true, perJobResults: true } as const
    await boss.work<CallJob>(QUEUE, options, (jobs) =>
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
    )
  },
}
answerParent(verbs)
