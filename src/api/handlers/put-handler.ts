/** `PUT /handler/<name>`: stores or replaces a handler. Its defaults and limits hold for waiting tasks from then on. */
import type { Request } from 'express'
import handlerQuery from '../../../schema/api/handler-query.json' with { type: 'json' }
import { CallmeError, valueOrThrow } from '../../domain/errors.ts'
import type { HandlerQuery } from '../../wire/bodies.ts'
import { HANDLER_EXAMPLE, checkHandler, handlerOf } from '../../wire/parse-handler.ts'
import { presentHandler } from '../../wire/present-handler.ts'
import { regardsStored } from '../../wire/put-back.ts'
import { compileCheck } from '../../wire/validate.ts'
import { endpoint } from '../endpoint.ts'
import { jsonBody } from '../http/read-body.ts'
import { isOn } from '../http/read-query.ts'

export const checkHandlerQuery = compileCheck<HandlerQuery>(handlerQuery, 'query')

export const putHandler = endpoint(
  {
    operationId: 'putHandler',
    method: 'put',
    paths: ['/handler/:target'],
    target: 'handler',
    scope: 'admin',
    answers: [200, 201, 409, 503],
  },
  { query: checkHandlerQuery, body: jsonBody(checkHandler, HANDLER_EXAMPLE), condition: refuseConditions },
  ({ store, clock, log, wake }) =>
    async ({ target: name, query: { force }, body }) => {
      const sent = body()
      const before = regardsStored(sent) ? await store.getHandler(name) : undefined
      const stored = before && { own: before.definition, shown: presentHandler(before) }
      const definition = valueOrThrow(handlerOf(name, sent, stored))
      const result = await store.putHandler(name, definition, { now: clock.now(), force: isOn(force) })
      if (result === 'needed') throw stillNeeded(name)
      wake(clock.now())
      log.info('handler.stored', { handler: name })
      return {
        status: result.status === 'created' ? 201 : 200,
        body: { message: 'handler successfully registered', handler: presentHandler(result.handler) },
        headers: { Location: `/handler/${encodeURIComponent(name)}` },
      }
    },
)

/** @throws CallmeError `bad_request` on any condition (RFC 9110 §13.1), because a handler is stored without one */
function refuseConditions(req: Request): false {
  if (req.headers['if-match'] === undefined && req.headers['if-none-match'] === undefined) return false
  throw new CallmeError('bad_request', 'a handler is stored or replaced without condition; leave out If-Match and If-None-Match')
}

function stillNeeded(name: string): CallmeError {
  const need = `tasks of ${JSON.stringify(name)} that have not ended have no callback of their own, and this handler would leave them without one`
  return new CallmeError('conflict', `${need}; keep "callback" or "pull", or add force=true, and they fail when they are due`)
}
