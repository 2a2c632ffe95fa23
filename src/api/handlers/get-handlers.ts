/** `GET /handler/<name>`: the handler of this very name. `GET /handler/`: all handlers by name, page by page. */
import { stringify } from 'node:querystring'
import handlerListQuery from '../../../schema/api/handler-list-query.json' with { type: 'json' }
import { CallmeError, badRequest } from '../../domain/errors.ts'
import type { HandlerListQuery } from '../../wire/bodies.ts'
import { presentHandler } from '../../wire/present-handler.ts'
import { compileCheck } from '../../wire/validate.ts'
import { endpoint } from '../endpoint.ts'
import { checkPlainQuery } from '../http/read-query.ts'
import { parseHandlerName } from '../http/read-target.ts'

const DEFAULT_LIMIT = 100

export const getHandler = endpoint(
  { operationId: 'getHandler', method: 'get', paths: ['/handler/:target'], target: 'handler', scope: 'read', answers: [200, 404, 503] },
  { query: checkPlainQuery, body: 'ignored' },
  ({ store }) =>
    async ({ target: name }) => {
      const handler = await store.getHandler(name)
      if (handler === undefined) throw unknownHandler(name)
      return { status: 200, body: { handlers: [presentHandler(handler)] } }
    },
)

export const listHandlers = endpoint(
  { operationId: 'listHandlers', method: 'get', paths: ['/handler'], target: 'none', scope: 'read', answers: [200, 503] },
  { query: compileCheck<HandlerListQuery>(handlerListQuery, 'query'), body: 'ignored' },
  ({ store, turns }) =>
    async ({ query }) => {
      const after = readStart(query)
      const limit = Number(query.limit ?? DEFAULT_LIMIT)
      const { handlers, more } = await turns.take(() => store.listHandlers({ ...(after !== undefined && { after }), limit }))
      const next = more ? handlers.at(-1)?.name : undefined
      const headers = next === undefined ? {} : { Link: `</handler/?${stringify({ ...query, start_from: next })}>; rel="next"` }
      return { status: 200, body: { handlers: handlers.map(presentHandler), ...(next !== undefined && { next }) }, headers }
    },
)

export function unknownHandler(name: string): CallmeError {
  return new CallmeError('not_found', `there is no handler ${JSON.stringify(name)}; GET /handler/ lists what there is`)
}

function readStart({ start_from }: HandlerListQuery): string | undefined {
  if (start_from === undefined) return undefined
  const name = parseHandlerName(start_from)
  if (name.ok) return name.value
  throw badRequest({ pointer: '?start_from', detail: `start_from must be what "next" of the page before holds: ${name.problem.detail}` })
}
