/** Checks a handler that a client sent, and turns it into the definition that is stored. */
import handlerSchema from '../../schema/api/handler.json' with { type: 'json' }
import { refuse, type Parsed } from '../domain/errors.ts'
import type { HandlerDefinition } from '../domain/task/handler.ts'
import type { HandlerBody } from './bodies.ts'
import { checkCall } from './call-rules.ts'
import { storedPayloads } from './json-text.ts'
import { checkTemplates } from './template-rules.ts'
import { compileCheck, findDeep, findMisplaced, show } from './validate.ts'

export const HANDLER_EXAMPLE = '{"callback":"http://example.com/run","concurrency":5}'

/** The shape of a handler. Its name and the call itself are checked by `handlerOf`. */
export const checkHandler = compileCheck<HandlerBody>(handlerSchema, 'body', (body) => findDeep(body) ?? findMisplaced(body, 'handler'))

/** @param fromPath the name that the path holds */
export function handlerOf(fromPath: string, { name, task_name, ...fields }: HandlerBody): Parsed<HandlerDefinition> {
  for (const [field, sent] of Object.entries({ name, task_name })) {
    if (sent === undefined || sent === fromPath) continue
    return refuse(`/${field}`, `${field} must be absent or equal to the name in the path, ${show(fromPath)}; got ${show(sent)}`)
  }
  const problem = checkCall(fields) ?? checkTemplates(fields, fromPath)
  if (problem) return { ok: false, problem }
  if (fields.callback_method !== undefined) fields.callback_method = fields.callback_method.toUpperCase()
  // The types differ only in the case of the method, which is right now.
  return { ok: true, value: { ...fields, ...storedPayloads(fields) } as HandlerDefinition }
}
