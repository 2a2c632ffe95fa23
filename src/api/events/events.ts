/** `GET /events`: tells of each change of a task, once and in order, as Server-Sent Events (WHATWG HTML §9.2). */
import type { Request, RequestHandler } from 'express'
import eventsQuery from '../../../schema/api/events-query.json' with { type: 'json' }
import { CallmeError } from '../../domain/errors.ts'
import type { ChangeKind } from '../../domain/task/task-change.ts'
import type { EventsQuery } from '../../wire/bodies.ts'
import type { Store } from '../../store/store.ts'
import type { AppOptions } from '../app-options.ts'
import type { EventFilter } from './event-block.ts'
import { EventHub } from './event-hub.ts'
import { EVENT_STREAM_HEADERS } from './event-stream.ts'
import type { StreamStart } from './event-stream.ts'
import { readNames, readQuery } from '../http/read-query.ts'
import { compileCheck, show } from '../../wire/validate.ts'

const checkEventsQuery = compileCheck<EventsQuery>(eventsQuery, 'query')

export function getEvents(options: AppOptions): RequestHandler {
  const hub = new EventHub(options)
  return async (req, res) => {
    const query = readQuery(req, checkEventsQuery)
    const filter = readFilter(query)
    const lastEventId = readLastEventId(req, query)
    if (req.method === 'HEAD') {
      res.writeHead(200, EVENT_STREAM_HEADERS).end()
      return
    }
    const start = await findStart(options.store, lastEventId)
    if (!res.destroyed) hub.open(res, filter, start)
  }
}

function readFilter({ events = '*', name }: EventsQuery): EventFilter {
  return {
    ...(events !== '*' && { kinds: new Set(events.split(',') as ChangeKind[]) }),
    ...(name !== undefined && { names: readNames(name) }),
  }
}

/** A client that connects again by itself sends the header, and repeats the query that it began with: the header is newer. */
function readLastEventId(req: Request, { last_event_id: fromQuery }: EventsQuery): number | undefined {
  const fromHeader = req.get('Last-Event-ID')
  if (fromHeader === undefined || fromHeader === '') return fromQuery === undefined ? undefined : Number(fromQuery)
  const query = checkEventsQuery({ last_event_id: fromHeader })
  if (query.ok) return Number(fromHeader)
  const detail = `the header Last-Event-ID must be the id of an event as the stream gave it, such as 1024; got ${show(fromHeader)}`
  throw new CallmeError('bad_request', detail)
}

/** After the event that the client has had last, or after the newest one. */
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
