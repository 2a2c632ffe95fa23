/** `GET /handler/<name>` answers the handler that has this very name, `GET /handler/` all of them by name, page by page. */
import { stringify } from 'node:querystring'
import type { RequestHandler } from 'express'
import handlerListQuery from '../../../schema/api/handler-list-query.json' with { type: 'json' }
import { CallmeError, badRequest } from '../../domain/errors.ts'
import { presentHandler } from '../../wire/present-handler.ts'
import type { HandlerListQuery } from '../../wire/bodies.ts'
import type { AppOptions } from '../app-options.ts'
import { readQuery, refuseQuery } from '../http/read-query.ts'
import { parseHandlerName, readHandlerName } from '../http/read-target.ts'
import { sendJson } from '../http/respond.ts'
import { compileCheck } from '../../wire/validate.ts'

const DEFAULT_LIMIT = 100

const checkHandlerListQuery = compileCheck<HandlerListQuery>(handlerListQuery, 'query')

export function getHandler({ store }: AppOptions): RequestHandler {
  return async (req, res) => {
    refuseQuery(req)
    const name = readHandlerName(req)
    const handler = await store.getHandler(name)
    if (handler === undefined) throw unknownHandler(name)
    sendJson(req, res, 200, { handlers: [presentHandler(handler)] })
  }
}

export function listHandlers({ store }: AppOptions): RequestHandler {
  return async (req, res) => {
    const query = readQuery(req, checkHandlerListQuery)
    const after = readStart(query)
    const limit = query.limit === undefined ? DEFAULT_LIMIT : Number(query.limit)
    const { handlers, more } = await store.listHandlers({ ...(after !== undefined && { after }), limit })
    const next = more ? handlers.at(-1)?.name : undefined
    const link = next === undefined ? {} : { Link: `</handler/?${stringify({ ...query, start_from: next })}>; rel="next"` }
    sendJson(req, res, 200, { handlers: handlers.map(presentHandler), ...(next !== undefined && { next }) }, link)
  }
}

export function unknownHandler(name: string): CallmeError {
  return new CallmeError('not_found', `there is no handler ${JSON.stringify(name)}; GET /handler/ lists what there is`)
}

function readStart({ start_from }: HandlerListQuery): string | undefined {
  if (start_from === undefined) return undefined
  const name = parseHandlerName(start_from)
  if (name.ok) return name.value
  throw badRequest({ pointer: '?start_from', detail: `start_from must be what "next" of the page before holds: ${name.problem.detail}` })
}
