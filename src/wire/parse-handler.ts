/** From what a client sent to the handler that is stored: every rule that a handler must keep. */
import handlerSchema from '../../schema/api/handler.json' with { type: 'json' }
import type { Parsed, Problem } from '../domain/errors.ts'
import type { HandlerDefinition } from '../domain/task/handler.ts'
import type { HandlerBody } from './bodies.ts'
import { checkCall } from './call-rules.ts'
import { findMisplaced, compileCheck, show } from './validate.ts'

export const HANDLER_EXAMPLE = '{"callback":"http://example.com/run","concurrency":5}'

const checkHandlerBody = compileCheck<HandlerBody>(handlerSchema, 'body')

/** @param fromPath the name that the path holds */
export function parseHandler(fromPath: string, body: unknown): Parsed<HandlerDefinition> {
  const problem = findMisplaced(body, 'handler')
  if (problem) return { ok: false, problem }
  const checked = checkHandlerBody(body)
  if (!checked.ok) return checked
  const { name, task_name, ...fields } = checked.value
  const broken = checkName('name', name, fromPath) ?? checkName('task_name', task_name, fromPath) ?? checkCall(fields)
  if (broken) return { ok: false, problem: broken }
  if (fields.callback_method !== undefined) fields.callback_method = fields.callback_method.toUpperCase()
  // The schema and the line above have made it one: only the method's case is wider in HandlerBody.
  return { ok: true, value: fields as HandlerDefinition }
}

function checkName(field: 'name' | 'task_name', sent: string | undefined, fromPath: string): Problem | undefined {
  if (sent === undefined || sent === fromPath) return undefined
  return { pointer: `/${field}`, detail: `${field} must be absent or equal to the name in the path, ${show(fromPath)}; got ${show(sent)}` }
}
