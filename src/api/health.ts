/** `GET /health` says that the process lives; `GET /ready` that the store answers and the scheduler ticks. */
import type { RequestHandler } from 'express'
import type { AppOptions } from './app-options.ts'
import { sendProblem } from './error-handler.ts'
import { refuseQuery } from './read-query.ts'
import { sendJson } from './respond.ts'

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
    const { ready, lastTick } = readiness()
    const last_tick = lastTick === null ? null : new Date(lastTick).toISOString()
    if (ready) sendJson(req, res, 200, { status: 'ready', last_tick, tasks })
    else
      sendProblem(req, res, 503, {
        error: `the scheduler has not ticked within two minutes; its last tick was ${last_tick ?? 'never'}, see the log`,
      })
  }
}
