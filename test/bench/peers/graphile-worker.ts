/** The peer graphile-worker, with the settings that its documentation measures its best throughput with. */
import { Logger, makeWorkerUtils, run } from 'graphile-worker'
import { answerParent } from '../support/child.ts'
import { call, IN_FLIGHT } from './peer.ts'
import type { CallJob, PeerVerbs } from './peer.ts'

const TASK = 'call'

const verbs: PeerVerbs = {
  store: async (connectionString, jobs, url) => {
    const utils = await makeWorkerUtils({ connectionString })
    await utils.migrate()
    const payload: CallJob = { url }
    await utils.addJobs(Array.from({ length: jobs }, () => ({ identifier: TASK, payload })))
    await utils.release()
  },

  start: async (connectionString) => {
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
}
answerParent(verbs)
