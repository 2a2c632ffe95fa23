/** `GET /lateness`: how late attempts were, from the time at which each was due to the start of its call. */
import { setImmediate } from 'node:timers/promises'
import type { RequestHandler } from 'express'
import latenessQuery from '../../../schema/api/lateness-query.json' with { type: 'json' }
import { Lateness } from '../../domain/ledger/lateness.ts'
import { rfc3339 } from '../../domain/time/rfc3339.ts'
import type { TaskKey } from '../../domain/task/task-key.ts'
import type { LatenessQuery } from '../../wire/bodies.ts'
import type { AppOptions } from '../app-options.ts'
import { badRequest } from '../../domain/errors.ts'
import { readInstant, readNames, readQuery } from '../http/read-query.ts'
import { sendJson } from '../http/respond.ts'
import { compileCheck, show } from '../../wire/validate.ts'

const DAY_S = 86_400
/** Small, because the store answers other requests in between. */
const PAGE = 200

const checkLatenessQuery = compileCheck<LatenessQuery>(latenessQuery, 'query')

export function getLateness({ store, clock }: AppOptions): RequestHandler {
  return async (req, res) => {
    const query = readQuery<LatenessQuery>(req, checkLatenessQuery)
    const to = query.to === undefined ? Math.ceil(clock.now() / 1000) : readInstant('to', query.to)
    const from = query.from === undefined ? to - DAY_S : readInstant('from', query.from)
    if (from >= to)
      throw badRequest({ pointer: '?from', detail: `from must be before to; got ${show(query.from)} and ${show(query.to ?? 'now')}` })
    const names = query.name === undefined ? undefined : readNames(query.name)
    const selection = { from, to, ...(names !== undefined && { names }) }
    const lateness = new Lateness()
    let after: TaskKey | undefined
    do {
      const page = await store.runs(selection, { ...(after && { after }), limit: PAGE })
      for (const attempt of page.entries.flatMap(({ history }) => history)) lateness.add(attempt)
      after = page.next
      await setImmediate()
    } while (after && !req.socket.destroyed)
    sendJson(req, res, 200, { from: rfc3339(from * 1000), to: rfc3339(to * 1000), name: names ?? null, ...lateness.summary() })
  }
}
