/** Checks what clients send against the schemas and turns the first violation into one sentence that says what would be right. */
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { ErrorObject } from 'ajv/dist/2020.js'
import { closestMatch } from 'leven'
import handler from '../../schema/api/handler.json' with { type: 'json' }
import parameters from '../../schema/api/parameters.json' with { type: 'json' }
import task from '../../schema/api/task.json' with { type: 'json' }
import type { Parsed, Problem } from '../domain/errors.ts'

/** Where the checked value stands in the request; it decides how its fields are called. */
type Place = 'body' | 'query'

const SHOWN_LENGTH = 60

const HANDLER_FIELDS = Object.keys(handler.properties)
const TASK_FIELDS = Object.keys(task.properties)

const MISPLACED = {
  // A task has a name too, which is called otherwise.
  task: HANDLER_FIELDS.filter((field) => field !== 'name' && !TASK_FIELDS.includes(field)),
  handler: TASK_FIELDS.filter((field) => !HANDLER_FIELDS.includes(field)),
} as const

const RIGHT_PLACE = {
  task: 'belongs to the handler of a name, not to a task; send it with PUT /handler/<name>',
  handler: 'belongs to a task, not to the handler of a name; send it with PUT /task/<name>',
} as const

// Every schema node says in `expects` how a right value looks. No `allErrors`: a hostile body must not cost more than a good one.
const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, verbose: true, keywords: ['expects'], schemas: [parameters, task] })

/** @returns a function that checks a value and answers it as a `T`, or the first thing that is wrong with it */
export function compileCheck<T>(schema: object, place: Place): (value: unknown) => Parsed<T> {
  const isValid = ajv.compile<T>(schema)
  return (value) => {
    if (isValid(value)) return { ok: true, value }
    const error = isValid.errors?.findLast(({ keyword }) => keyword !== 'propertyNames')
    if (error === undefined) throw new Error('a schema refused a value without a reason')
    return { ok: false, problem: explain(error, place) }
  }
}

/** What a client sent, as JSON that fits into a sentence. */
export function show(value: unknown): string {
  const text = JSON.stringify(value)
  return text.length <= SHOWN_LENGTH ? text : `${text.slice(0, SHOWN_LENGTH)}…`
}

function explain(error: ErrorObject, place: Place): Problem {
  const params = error.params as { additionalProperty?: string; missingProperty?: string }
  if (params.additionalProperty !== undefined) return explainUnknown(params.additionalProperty, error, place)
  if (params.missingProperty !== undefined) return explainMissing(params.missingProperty, error, place)
  const { expects } = error.parentSchema as { expects: string }
  if (error.propertyName !== undefined) {
    const detail = `${fieldOf(error.instancePath)} must not hold the name ${show(error.propertyName)}: a name must be ${expects}`
    return { pointer: error.instancePath, detail }
  }
  const detail = `${fieldOf(error.instancePath)} must be ${expects}; got ${show(error.data)}`
  return { pointer: pointerOf(error.instancePath, place), detail }
}

function explainUnknown(name: string, error: ErrorObject, place: Place): Problem {
  const known = Object.keys(knownFields(error))
  const nearest = closestMatch(name.slice(0, SHOWN_LENGTH), known)
  const kind = place === 'body' ? 'field' : 'query parameter'
  const detail = `unknown ${kind} ${show(name)}; did you mean ${show(nearest)}? Known are ${known.join(', ')}`
  return { pointer: pointerOf(`${error.instancePath}/${escapePointer(name)}`, place), detail }
}

/** A field may be missing because its name is misspelt: what is unknown is told first. */
function explainMissing(name: string, error: ErrorObject, place: Place): Problem {
  const unknown = Object.keys(error.data as object).find((field) => !Object.hasOwn(knownFields(error), field))
  if (unknown !== undefined) return explainUnknown(unknown, error, place)
  const detail = `${name} is required: it must be ${knownFields(error)[name]?.expects ?? 'given'}`
  return { pointer: pointerOf(`${error.instancePath}/${name}`, place), detail }
}

function knownFields(error: ErrorObject): Record<string, { expects?: string }> {
  return (error.parentSchema as { properties: Record<string, { expects?: string }> }).properties
}

function fieldOf(instancePath: string): string {
  if (instancePath === '') return 'the body'
  return instancePath.slice(1).replaceAll('/', '.').replaceAll('~1', '/').replaceAll('~0', '~')
}

/** A name as one part of a JSON Pointer (RFC 6901). */
export function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1')
}

function pointerOf(instancePath: string, place: Place): string {
  return place === 'body' ? instancePath : `?${instancePath.slice(1)}`
}

/**
 * A field that only a task has, sent for a handler, or the other way round. The nearest name among the known ones would mislead there.
 * @param sentFor what the body is to define
 */
export function findMisplaced(body: unknown, sentFor: 'task' | 'handler'): Problem | undefined {
  if (typeof body !== 'object' || body === null) return undefined
  const field = MISPLACED[sentFor].find((name) => Object.hasOwn(body, name))
  return field === undefined ? undefined : { pointer: `/${field}`, detail: `${field} ${RIGHT_PLACE[sentFor]}` }
}
