/** `DELETE /handler/<name>`: removes a handler; its tasks stay, and go by what they say themselves and by the handler that applies then. */
import type { RequestHandler } from 'express'
import { CallmeError } from '../../domain/errors.ts'
import type { AppOptions } from '../app-options.ts'
import { unknownHandler } from './get-handlers.ts'
import { checkHandlerQuery } from './put-handler.ts'
import { refuseBody } from '../http/read-body.ts'
import { isOn, readQuery } from '../http/read-query.ts'
import { readHandlerName } from '../http/read-target.ts'
import { sendJson } from '../http/respond.ts'

export function deleteHandler({ store, clock, log, wake }: AppOptions): RequestHandler {
  return async (req, res) => {
    refuseBody(req)
    const { force } = readQuery(req, checkHandlerQuery)
    const name = readHandlerName(req)
    const outcome = await store.removeHandler(name, { force: isOn(force) })
    if (outcome === 'unknown') throw unknownHandler(name)
    if (outcome === 'needed') throw stillNeeded(name)
    wake(clock.now())
    log.info('handler.removed', { handler: name })
    sendJson(req, res, 200, { deleted: 1 })
  }
}

function stillNeeded(name: string): CallmeError {
  const need = `tasks of ${JSON.stringify(name)} that have not ended have no callback but this handler's, and it was not deleted`
  return new CallmeError('conflict', `${need}; add force=true to delete it, and they fail when they are due`)
}
