/** The peer graphile-worker, with the settings that its documentation measures its best throughput with. */
import { Logger, makeWorkerUtils, run } from 'graphile-worker'
import type { WorkerUtils } from 'graphile-worker'
import { answerAs, call, IN_FLIGHT } from './peer.ts'
import type { CallJob } from './peer.ts'

const TASK = 'call'

let connectionString = ''
let utils: WorkerUtils

answerAs({
  open: async (store) => {
    connectionString = store
    utils = await makeWorkerUtils({ connectionString })
    await utils.migrate()
  },
  add: (payload, runAt) => utils.addJob(TASK, payload, { runAt }),
  addMany: (jobs, runAt) => utils.addJobs(jobs.map((payload) => ({ identifier: TASK, payload, runAt }))),
  work: async () => {
    await run({
      preset: {
        worker: {
          connectionString,
          concurrentJobs: IN_FLIGHT,
          // As many as is recommended for that many jobs; few are opened, because jobs are fetched and completed together.
          maxPoolSize: IN_FLIGHT + 2,
          localQueue: { size: 500 },
          completeJobBatchDelay: 0,
          failJobBatchDelay: 0,
        },
      },
      taskList: { [TASK]: (payload) => call(payload as CallJob) },
      // By default it writes a line for each job.
      logger: new Logger(() => (level, message) => {
        if (level === 'error') console.error(message)
      }),
    })
  },
  waiting: () =>
    utils.withPgClient(async (client) => {
      const { rows } = await client.query('SELECT count(*) FROM graphile_worker._private_jobs')
      return Number(rows[0]?.count)
    }),
})
