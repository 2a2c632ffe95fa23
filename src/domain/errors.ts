/** The one exception class of callme, and its codes. Expected outcomes are values, not exceptions. */

export type ErrorCode =
  | 'bad_request'
  | 'not_found'
  | 'method_not_allowed'
  | 'conflict'
  | 'precondition_failed'
  | 'too_large'
  | 'unsupported_media_type'
  | 'store_unavailable'
  | 'store_in_use'
  | 'store_too_new'
  | 'bad_config'

/** One fault in the input of a client. `pointer` is a JSON Pointer (RFC 6901) into the body, or `?name` for a query parameter, or `path`. */
export interface Problem {
  readonly pointer: string
  readonly detail: string
}

/** What is wrong with the input: the first fault, and those of other members where they are known. */
export interface Refusal {
  readonly ok: false
  readonly problem: Problem
  readonly others?: readonly Problem[]
}

/** The result of a parser: the value, or the faults of the input. */
export type Parsed<T> = { readonly ok: true; readonly value: T } | Refusal

export class CallmeError extends Error {
  readonly code: ErrorCode
  readonly problems: readonly Problem[]

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; problems?: readonly Problem[] } = {}) {
    super(message, { cause: options.cause })
    this.name = 'CallmeError'
    this.code = code
    this.problems = options.problems ?? []
  }
}

/** The result of a parser that refuses its input. */
export function refuse(pointer: string, detail: string): Refusal {
  return { ok: false, problem: { pointer, detail } }
}

/** The result of a parser that has found several faults. @throws Error without any, which only a defect explains */
export function refuseAll([problem, ...others]: readonly Problem[]): Refusal {
  if (problem === undefined) throw new Error('a parser refused a value without a reason')
  return { ok: false, problem, others }
}

export function problemsIn(parsed: Parsed<unknown>): readonly Problem[] {
  return parsed.ok ? [] : [parsed.problem, ...(parsed.others ?? [])]
}

/** The error of an endpoint that refuses its input. */
export function badRequest(problem: Problem, others: readonly Problem[] = []): CallmeError {
  return new CallmeError('bad_request', problem.detail, { problems: [problem, ...others] })
}

/** @throws CallmeError `bad_request` where the parser found a problem */
export function valueOrThrow<T>(parsed: Parsed<T>): T {
  if (!parsed.ok) throw badRequest(parsed.problem, parsed.others)
  return parsed.value
}
