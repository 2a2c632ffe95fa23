/** `GET /health` says that the process lives; `GET /ready` that the store answers, the scheduler ticks and the clock is about right. */
import type { RequestHandler } from 'express'
import type { AppOptions, Readiness } from '../app-options.ts'
import { sendProblem } from '../http/problem.ts'
import { refuseQuery } from '../http/read-query.ts'
import { sendJson } from '../http/respond.ts'

const MAX_CLOCK_OFFSET_MS = 30_000

export function getHealth({ version }: AppOptions): RequestHandler {
  return (req, res) => {
    refuseQuery(req)
    sendJson(req, res, 200, { status: 'ok', version })
  }
}

export function getReady({ store, readiness }: AppOptions): RequestHandler {
  return async (req, res) => {
    refuseQuery(req)
    const tasks = await store.counts()
    const state = readiness()
    const error = whatIsWrong(state)
    if (error === undefined) sendJson(req, res, 200, { status: 'ready', last_tick: lastTickOf(state), tasks })
    else sendProblem(req, res, 503, { error })
  }
}

function whatIsWrong(state: Readiness): string | undefined {
  if (!state.ready) {
    return `the scheduler has not ticked within two minutes; its last tick was ${lastTickOf(state) ?? 'never'}, see the log`
  }
  if (Math.abs(state.clockOffset) <= MAX_CLOCK_OFFSET_MS) return undefined
  const off = `${(Math.abs(state.clockOffset) / 1000).toFixed(1)} s ${state.clockOffset > 0 ? 'behind' : 'ahead of'}`
  return `the clock of this machine is ${off} that of the database, more than ${MAX_CLOCK_OFFSET_MS / 1000} s: set it right; tasks go by the clock of the database`
}

function lastTickOf({ lastTick }: Readiness): string | null {
  return lastTick === null ? null : new Date(lastTick).toISOString()
}
