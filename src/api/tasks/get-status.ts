/** `GET /task/…` and `GET /status/…`: one task with its history, the tasks of a name, or all of them, page by page. */
import { stringify } from 'node:querystring'
import type { Request } from 'express'
import listQuery from '../../../schema/api/list-query.json' with { type: 'json' }
import { badRequest } from '../../domain/errors.ts'
import { formatTaskKey, parseTaskKey, type TaskKey } from '../../domain/task/task-key.ts'
import type { ListQuery } from '../../wire/bodies.ts'
import { presentTask } from '../../wire/present-task.ts'
import { compileCheck } from '../../wire/validate.ts'
import type { EndpointOptions } from '../app-options.ts'
import { endpoint } from '../endpoint.ts'
import { checkPlainQuery } from '../http/read-query.ts'
import type { Target } from '../http/read-target.ts'
import { isPretty, sendText } from '../http/respond.ts'
import { refuseUnknown, selectionOf } from '../http/selection.ts'
import { TaskListText } from '../http/task-list-text.ts'

const DEFAULT_LIMIT = 100
const BATCH = 100
/** A page of large payloads ends early, so that no request can ask for more memory than there is. */
const MAX_PAGE_LENGTH = 16 * 2 ** 20
const PATHS = ['/task/:target', '/status/:target', '/task', '/status']

const checkListQuery = compileCheck<ListQuery>(listQuery, 'query')
/** A key takes no filter. */
const checkQuery = (query: unknown, target?: Target) => (target?.triggerAt === undefined ? checkListQuery : checkPlainQuery)(query)

export const getStatus = endpoint(
  { operationId: 'list', method: 'get', paths: PATHS, target: 'tasks', scope: 'read', answers: [200, 404, 503] },
  { query: Object.assign(checkQuery, { schema: listQuery }), body: 'ignored', first: 'target' },
  (options) =>
    async ({ req, res, target, query }) => {
      const page = await readPage(options, target, query, isPretty(req))
      if (page.count === 0) await refuseUnknown(options.store, target)
      sendText(res, 200, page.text, page.next === undefined ? {} : { Link: `<${linkTo(req, target, query, page.next)}>; rel="next"` })
      return undefined
    },
)

/** @returns the text of a page, how many tasks it holds, and the key of the last one where more follow it */
async function readPage({ store, clock, turns, defaults }: EndpointOptions, target: Target, query: ListQuery, pretty: boolean) {
  const selection = selectionOf(target, query, clock.now())
  const limit = Number(query.limit ?? DEFAULT_LIMIT)
  const list = new TaskListText(pretty)
  const pieces = [list.start()]
  let [length, more, last] = [0, true, readStart(query)]
  while (more && list.count < limit && length < MAX_PAGE_LENGTH) {
    const position = { ...(last && { after: last }), limit: Math.min(BATCH, limit - list.count) }
    const batch = await turns.take(() => store.list(selection, position))
    more = batch.more
    for (const task of batch.tasks) {
      more ||= length >= MAX_PAGE_LENGTH
      if (length >= MAX_PAGE_LENGTH) break
      const history = target.triggerAt === undefined ? undefined : await store.history(task)
      const piece = list.item(presentTask(task, defaults, history))
      pieces.push(piece)
      length += piece.length
      last = task
    }
  }
  const next = more && last ? formatTaskKey(last) : undefined
  pieces.push(list.end(next === undefined ? {} : { next }))
  return { text: pieces.join(''), count: list.count, next }
}

function readStart(query: ListQuery): TaskKey | undefined {
  if (query.start_from === undefined) return undefined
  const key = parseTaskKey(query.start_from)
  if (key.ok) return key.value
  throw badRequest({ pointer: '?start_from', detail: `start_from must be what "next" of the page before holds: ${key.problem.detail}` })
}

/** The path of the request may hold characters that end a link, so it is written anew. */
function linkTo(req: Request, target: Target, query: ListQuery, next: string): string {
  const resource = req.path.startsWith('/status') ? 'status' : 'task'
  const part = target.name === undefined ? '' : encodeURIComponent(target.name)
  return `/${resource}/${part}?${stringify({ ...query, start_from: next })}`
}
