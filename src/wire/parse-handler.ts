/** Checks a handler that a client sent, and turns it into the definition that is stored. */
import handlerSchema from '../../schema/api/handler.json' with { type: 'json' }
import { refuseAll, type Parsed } from '../domain/errors.ts'
import type { HandlerDefinition } from '../domain/task/handler.ts'
import type { HandlerBody } from './bodies.ts'
import { checkCall } from './call-rules.ts'
import { storedPayloads } from './json-text.ts'
import type { WireHandler } from './present-handler.ts'
import { SENT_BACK, checkSentBack, keepSecrets, letPass, type SentBack, type Stored } from './put-back.ts'
import { checkTemplates } from './template-rules.ts'
import { compileCheck, findDeep, findMisplaced, show } from './validate.ts'

export const HANDLER_EXAMPLE = '{"callback":"http://example.com/run","concurrency":5}'

export type SentHandler = HandlerBody & SentBack

/** The shape of a handler. Its name and the call itself are checked by `handlerOf`. */
export const checkHandler = letPass(
  compileCheck<HandlerBody>(handlerSchema, 'body', {
    before: (body) => [...findDeep(body), ...findMisplaced(body, 'handler')],
    after: checkCall,
  }),
  ['created', 'updated', 'error'],
)

/** @param fromPath the name that the path holds @param stored the handler that the client may have read: what is equal to it is let pass */
export function handlerOf(fromPath: string, sent: SentHandler, stored?: Stored<WireHandler, HandlerDefinition>): Parsed<HandlerDefinition> {
  const { name, task_name, [SENT_BACK]: _sentBack, ...fields } = sent
  const names = Object.entries({ name, task_name }).filter(([, given]) => given !== undefined && given !== fromPath)
  const wrongNames = names.map(([field, given]) => ({
    pointer: `/${field}`,
    detail: `${field} must be absent or equal to the name in the path, ${show(fromPath)}; got ${show(given)}`,
  }))
  if (fields.headers !== undefined) fields.headers = keepSecrets(fields.headers, stored)
  const problems = [...wrongNames, ...checkSentBack(sent, stored?.shown), ...checkCall(fields), ...checkTemplates(fields, fromPath)]
  if (problems.length > 0) return refuseAll(problems)
  if (fields.callback_method !== undefined) fields.callback_method = fields.callback_method.toUpperCase()
  // The types differ only in the case of the method, which is right now.
  return { ok: true, value: { ...fields, ...storedPayloads(fields) } as HandlerDefinition }
}
