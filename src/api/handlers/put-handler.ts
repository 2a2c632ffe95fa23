/** `PUT /handler/<name>`: stores or replaces a handler, whose defaults and limits hold for waiting tasks from then on. */
import type { Request, RequestHandler } from 'express'
import handlerQuery from '../../../schema/api/handler-query.json' with { type: 'json' }
import { CallmeError, valueOrThrow } from '../../domain/errors.ts'
import { presentHandler } from '../../wire/present-handler.ts'
import type { HandlerQuery } from '../../wire/bodies.ts'
import type { AppOptions } from '../app-options.ts'
import { HANDLER_EXAMPLE, parseHandler } from '../../wire/parse-handler.ts'
import { bodyJson, readBody } from '../http/read-body.ts'
import { isOn, readQuery } from '../http/read-query.ts'
import { readHandlerName } from '../http/read-target.ts'
import { sendJson } from '../http/respond.ts'
import { compileCheck } from '../../wire/validate.ts'

export const checkHandlerQuery = compileCheck<HandlerQuery>(handlerQuery, 'query')

export function putHandler({ store, clock, log, wake }: AppOptions): RequestHandler[] {
  return [
    readBody(),
    async (req, res) => {
      const { force } = readQuery(req, checkHandlerQuery)
      refuseConditions(req)
      const name = readHandlerName(req)
      const definition = valueOrThrow(parseHandler(name, bodyJson(req, HANDLER_EXAMPLE)))
      const result = await store.putHandler(name, definition, { now: clock.now(), force: isOn(force) })
      if (result === 'needed') throw stillNeeded(name)
      wake(clock.now())
      log.info('handler.stored', { handler: name })
      const body = { message: 'handler successfully registered', handler: presentHandler(result.handler) }
      sendJson(req, res, result.status === 'created' ? 201 : 200, body, { Location: `/handler/${encodeURIComponent(name)}` })
    },
  ]
}

/** @throws CallmeError `bad_request` on a condition (RFC 9110 §13.1), which must not be passed over */
function refuseConditions(req: Request): void {
  if (req.headers['if-match'] === undefined && req.headers['if-none-match'] === undefined) return
  throw new CallmeError('bad_request', 'a handler is stored or replaced without condition; leave out If-Match and If-None-Match')
}

function stillNeeded(name: string): CallmeError {
  const need = `tasks of ${JSON.stringify(name)} that have not ended have no callback of their own, and this handler would leave them without one`
  return new CallmeError('conflict', `${need}; keep "callback" or "pull", or add force=true, and they fail when they are due`)
}
