/** `GET /events`: each change of a task, once and in order, as Server-Sent Events (WHATWG HTML §9.2). */
import type { Request } from 'express'
import eventsQuery from '../../../schema/api/events-query.json' with { type: 'json' }
import { CallmeError } from '../../domain/errors.ts'
import type { ChangeKind } from '../../domain/task/task-change.ts'
import type { Store } from '../../store/store.ts'
import type { EventsQuery } from '../../wire/bodies.ts'
import { compileCheck, show } from '../../wire/validate.ts'
import { endpoint } from '../endpoint.ts'
import { readNames } from '../http/read-query.ts'
import type { EventFilter } from './event-block.ts'
import { EventHub } from './event-hub.ts'
import { EVENT_STREAM_HEADERS, type StreamStart } from './event-stream.ts'

const checkEventsQuery = compileCheck<EventsQuery>(eventsQuery, 'query')

export const getEvents = endpoint(
  { operationId: 'events', method: 'get', paths: ['/events'], target: 'none', scope: 'read', answers: [200, 503] },
  { query: checkEventsQuery, body: 'ignored' },
  (options) => {
    const hub = new EventHub(options)
    return async ({ req, res, query }) => {
      const filter = readFilter(query)
      const lastEventId = readLastEventId(req, query)
      if (req.method === 'HEAD') {
        res.writeHead(200, EVENT_STREAM_HEADERS).end()
        return undefined
      }
      const start = await findStart(options.store, lastEventId)
      if (!res.destroyed) hub.open(res, filter, start)
      return undefined
    }
  },
)

function readFilter({ events = '*', name }: EventsQuery): EventFilter {
  return {
    ...(events !== '*' && { kinds: new Set(events.split(',') as ChangeKind[]) }),
    ...(name !== undefined && { names: readNames(name) }),
  }
}

/** A client that connects again by itself repeats its first query and sends the header, which is newer. */
function readLastEventId(req: Request, { last_event_id: fromQuery }: EventsQuery): number | undefined {
  const fromHeader = req.get('Last-Event-ID')
  if (fromHeader === undefined || fromHeader === '') return fromQuery === undefined ? undefined : Number(fromQuery)
  const query = checkEventsQuery({ last_event_id: fromHeader })
  if (query.ok) return Number(fromHeader)
  const detail = `the header Last-Event-ID must be the id of an event as the stream gave it, such as 1024; got ${show(fromHeader)}`
  throw new CallmeError('bad_request', detail)
}

/** The stream starts after the client's last event, or after the newest one. */
async function findStart(store: Store, lastEventId: number | undefined): Promise<StreamStart> {
  const { first, last } = await store.changes({ after: lastEventId ?? Number.MAX_SAFE_INTEGER, limit: 1 })
  if (lastEventId === undefined) return { position: last }
  if (lastEventId > last) {
    const missed = `event ${lastEventId} is not of this store, whose newest one is ${last}: read the tasks anew, the stream goes on from now`
    return { position: last, missed }
  }
  if (lastEventId + 1 >= first) return { position: lastEventId }
  const missed = `the events after ${lastEventId} are kept no longer: read the tasks anew, the stream goes on from the oldest, ${first}`
  return { position: first - 1, missed }
}
