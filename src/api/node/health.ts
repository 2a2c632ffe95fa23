/** `GET /health`: the process lives. `GET /ready`: the node goes on, the store answers, the scheduler ticks, calls can be begun and the clock is about right. */
import { CallmeError } from '../../domain/errors.ts'
import type { Readiness } from '../app-options.ts'
import { endpoint } from '../endpoint.ts'
import { sendProblem } from '../http/problem.ts'
import { checkPlainQuery } from '../http/read-query.ts'

const MAX_CLOCK_OFFSET_MS = 30_000

export const getHealth = endpoint(
  { operationId: 'health', method: 'get', paths: ['/health', '/'], target: 'none', scope: 'none', answers: [200] },
  { query: checkPlainQuery, body: 'ignored' },
  ({ version }) =>
    () => ({ status: 200, body: { status: 'ok', version } }),
)

export const getReady = endpoint(
  { operationId: 'ready', method: 'get', paths: ['/ready'], target: 'none', scope: 'none', answers: [200, 503] },
  { query: checkPlainQuery, body: 'ignored' },
  ({ store, readiness }) =>
    async ({ req, res }) => {
      const tasks = await store.counts()
      const state = readiness()
      const error = faultOf(state)
      const log = state.logFault === undefined ? {} : { log: state.logFault }
      if (error === undefined) return { status: 200, body: { status: 'ready', last_tick: lastTickOf(state), tasks, ...log } }
      sendProblem(req, res, 503, { error })
      return undefined
    },
)

function faultOf(state: Readiness): string | undefined {
  if (state.isStopping) return 'callme stops once its calls under way have ended; send requests to another node'
  if (state.failure !== undefined) return `the last tick failed: ${reasonOf(state.failure)}`
  if (state.upkeepFailure !== undefined) return `the last chores, such as the renewal of leases, failed: ${reasonOf(state.upkeepFailure)}`
  if (!state.ready) {
    return `the scheduler has not ticked within two minutes; its last tick was ${lastTickOf(state) ?? 'never'}, see the log`
  }
  if (state.shortage !== null) return `calls cannot be begun: ${state.shortage}`
  if (Math.abs(state.clockOffset) <= MAX_CLOCK_OFFSET_MS) return undefined
  const off = `${(Math.abs(state.clockOffset) / 1000).toFixed(1)} s ${state.clockOffset > 0 ? 'behind' : 'ahead of'}`
  return `the clock of this machine is ${off} that of the database, more than ${MAX_CLOCK_OFFSET_MS / 1000} s: set it right; tasks go by the clock of the database`
}

/** The text of an unknown error may quote what is stored, so only the log has it. */
function reasonOf(error: unknown): string {
  return error instanceof CallmeError ? error.message : 'an error inside callme, see the log'
}

function lastTickOf({ lastTick }: Readiness): string | null {
  return lastTick === null ? null : new Date(lastTick).toISOString()
}
