/** `GET /lateness`: how late attempts were, from the time at which each was due to the start of its call. */
import latenessQuery from '../../../schema/api/lateness-query.json' with { type: 'json' }
import { badRequest } from '../../domain/errors.ts'
import { Lateness } from '../../domain/ledger/lateness.ts'
import type { TaskKey } from '../../domain/task/task-key.ts'
import { rfc3339 } from '../../domain/time/trigger-time.ts'
import type { LatenessQuery } from '../../wire/bodies.ts'
import { compileCheck, show } from '../../wire/validate.ts'
import { endpoint } from '../endpoint.ts'
import { readInstant, readNames, readTimeContext } from '../http/read-query.ts'

const DAY_S = 86_400
/** Small, because the store answers other requests in between. */
const PAGE = 200

export const getLateness = endpoint(
  { operationId: 'lateness', method: 'get', paths: ['/lateness'], target: 'none', scope: 'read', answers: [200, 503] },
  { query: compileCheck<LatenessQuery>(latenessQuery, 'query'), body: 'ignored' },
  ({ store, clock, turns }) =>
    async ({ req, query }) => {
      const now = clock.now()
      const context = readTimeContext(query, now)
      const to = query.to === undefined ? Math.ceil(now / 1000) : readInstant('to', query.to, context)
      const from = query.from === undefined ? to - DAY_S : readInstant('from', query.from, context)
      if (from >= to)
        throw badRequest({ pointer: '?from', detail: `from must be before to; got ${show(query.from)} and ${show(query.to ?? 'now')}` })
      const names = query.name === undefined ? undefined : readNames(query.name)
      const selection = { from, to, ...(names !== undefined && { names }) }
      const lateness = new Lateness()
      let after: TaskKey | undefined
      do {
        const position = { ...(after && { after }), limit: PAGE }
        const page = await turns.take(() => store.runs(selection, position))
        for (const attempt of page.tasks.flatMap(({ history }) => history)) lateness.add(attempt)
        after = page.next
      } while (after && !req.socket.destroyed)
      const body = { from: rfc3339(from * 1000), to: rfc3339(to * 1000), name: names ?? null, ...lateness.summary() }
      return { status: 200, body }
    },
)
