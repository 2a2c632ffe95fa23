/** `DELETE /handler/<name>`: removes a handler. Its tasks stay, and another handler may apply to them. */
import { CallmeError } from '../../domain/errors.ts'
import { endpoint } from '../endpoint.ts'
import { isOn } from '../http/read-query.ts'
import { unknownHandler } from './get-handlers.ts'
import { checkHandlerQuery } from './put-handler.ts'

export const deleteHandler = endpoint(
  {
    operationId: 'deleteHandler',
    method: 'delete',
    paths: ['/handler/:target'],
    target: 'handler',
    scope: 'admin',
    answers: [200, 404, 409, 503],
  },
  { query: checkHandlerQuery, body: 'absent' },
  ({ store, clock, log, wake }) =>
    async ({ target: name, query: { force } }) => {
      const result = await store.removeHandler(name, { force: isOn(force) })
      if (result === 'unknown') throw unknownHandler(name)
      if (result === 'needed') throw stillNeeded(name)
      wake(clock.now())
      log.info('handler.removed', { handler: name })
      return { status: 200, body: { deleted: 1 } }
    },
)

function stillNeeded(name: string): CallmeError {
  const need = `tasks of ${JSON.stringify(name)} that have not ended have no callback but this handler's, and it was not deleted`
  return new CallmeError('conflict', `${need}; add force=true to delete it, and they fail when they are due`)
}
