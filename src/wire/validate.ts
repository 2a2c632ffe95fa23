/** Checks what clients send against the schemas. The first violation becomes one sentence that says what would be right. */
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js'
import { closestMatch } from 'leven'
import handler from '../../schema/api/handler.json' with { type: 'json' }
import parameters from '../../schema/api/parameters.json' with { type: 'json' }
import task from '../../schema/api/task.json' with { type: 'json' }
import type { Parsed, Problem } from '../domain/errors.ts'

/** The part of a request that holds the checked value; it decides how the fields are called. */
type Place = 'body' | 'query'

/** Checks a value. @returns the same value as a `T`, or the first problem with it */
export interface Check<T> {
  (value: unknown): Parsed<T>
  readonly schema: object
}

const SHOWN_LENGTH = 60

const HANDLER_FIELDS = Object.keys(handler.properties)
const TASK_FIELDS = Object.keys(task.properties)

/** The fields that belong elsewhere, and where. */
const MISPLACED = {
  task: {
    // A task has a name too, under another field.
    fields: HANDLER_FIELDS.filter((field) => field !== 'name' && !TASK_FIELDS.includes(field)),
    advice: 'belongs to the handler of a name, not to a task; send it with PUT /handler/<name>',
  },
  handler: {
    fields: TASK_FIELDS.filter((field) => !HANDLER_FIELDS.includes(field)),
    advice: 'belongs to a task, not to the handler of a name; send it with PUT /task/<name>',
  },
} as const

// Every schema node describes a right value in `expects`. No `allErrors`: a hostile body must not cost more than a good one.
const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, verbose: true, keywords: ['expects'], schemas: [parameters, task] })

/** @param findProblem a rule that comes before the schema */
export function compileCheck<T>(
  schema: object,
  place: Place,
  findProblem: (value: unknown) => Problem | undefined = () => undefined,
): Check<T> {
  const isValid = ajv.compile<T>(schema)
  const withoutNulls = place === 'body' ? dropNulls(schema) : (value: unknown): unknown => value
  const check = (given: unknown): Parsed<T> => {
    const value = withoutNulls(given)
    const problem = findProblem(value)
    if (problem !== undefined) return { ok: false, problem }
    if (isValid(value)) return { ok: true, value }
    const error = isValid.errors?.findLast(({ keyword }) => keyword !== 'propertyNames')
    if (error === undefined) throw new Error('a schema refused a value without a reason')
    return { ok: false, problem: explain(error, place) }
  }
  return Object.assign(check, { schema })
}

/** A body whose null members are absent. A member that may be null keeps it. */
function dropNulls(schema: object): (body: unknown) => unknown {
  const { properties = {} } = schema as { properties?: Readonly<Record<string, { readonly type?: unknown }>> }
  const nullIsAbsent = new Set(Object.keys(properties).filter((name) => ![properties[name]?.type].flat().includes('null')))
  return (body) => {
    if (typeof body !== 'object' || body === null || !Object.values(body).includes(null)) return body
    return Object.fromEntries(Object.entries(body).filter(([name, value]) => value !== null || !nullIsAbsent.has(name)))
  }
}

/** A value as JSON that fits into a sentence. */
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

/** An unknown field comes first: it may be the missing one, misspelt. */
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
 * Finds a field of a task that was sent for a handler, or the other way round. The nearest known name would mislead there.
 * @param sentFor the thing that the body defines
 */
export function findMisplaced(body: unknown, sentFor: 'task' | 'handler'): Problem | undefined {
  if (typeof body !== 'object' || body === null) return undefined
  const { fields, advice } = MISPLACED[sentFor]
  const field = fields.find((name) => Object.hasOwn(body, name))
  return field === undefined ? undefined : { pointer: `/${field}`, detail: `${field} ${advice}` }
}
