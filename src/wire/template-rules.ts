/** The rules for templates that a schema cannot express. */
import type { Problem } from '../domain/errors.ts'
import { isPattern } from '../domain/task/name-pattern.ts'
import { MAX_ERROR_PAYLOAD_BYTES, MAX_HANDLER_PAYLOAD_BYTES, faultOfTemplate, holdsPlaceholder, textOf } from '../domain/task/template.ts'
import type { JsonValue } from '../domain/task/task.ts'
import type { HandlerBody } from './bodies.ts'
import { JsonText } from './json-text.ts'
import { show } from './validate.ts'

type Field = 'callback' | 'error_callback' | 'payload' | 'error_payload'
type TemplateFields = { readonly [F in Field]?: HandlerBody[F] | undefined }

/** @param handler its name; absent for the fields of a task @returns for each member the first rule that it breaks */
export function checkTemplates(fields: TemplateFields, handler?: string): Problem[] {
  const problems = [
    checkCallback(fields.callback) ?? checkId('callback', fields.callback, handler),
    checkErrorCallback(fields.error_callback),
    checkPayload('payload', fields.payload, handler),
    checkPayload('error_payload', fields.error_payload, handler),
  ]
  return problems.filter((problem) => problem !== undefined)
}

function checkCallback(url = ''): Problem | undefined {
  const fault = faultOfTemplate(url)
  return fault === undefined ? undefined : { pointer: '/callback', detail: `callback ${fault}; got ${show(url)}` }
}

function checkErrorCallback(url = ''): Problem | undefined {
  if (!holdsPlaceholder(url)) return undefined
  const detail = `error_callback must not hold placeholders, but error_payload may; got ${show(url)}`
  return { pointer: '/error_callback', detail }
}

function checkPayload(field: 'payload' | 'error_payload', payload: unknown, handler: string | undefined): Problem | undefined {
  if (payload === undefined) return undefined
  const text = payload instanceof JsonText ? payload.text : textOf(payload as JsonValue)
  const most = field === 'payload' ? MAX_HANDLER_PAYLOAD_BYTES : MAX_ERROR_PAYLOAD_BYTES
  const bytes = Buffer.byteLength(text)
  if (bytes <= most) return checkId(field, text, handler)
  const owner = handler === undefined ? '' : ' of a handler'
  return { pointer: `/${field}`, detail: `${field}${owner} must be at most ${most} bytes; got ${bytes}` }
}

function checkId(field: Field, text = '', handler: string | undefined): Problem | undefined {
  if (!text.includes('{id}') || (handler !== undefined && isPattern(handler))) return undefined
  const owner = handler === undefined ? 'a task has none' : `the name ${show(handler)} has none`
  return { pointer: `/${field}`, detail: `${field} must not hold {id}, which is what * of a handler stands for; ${owner}: use {name}` }
}
