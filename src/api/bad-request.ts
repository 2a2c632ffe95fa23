/** The two ways to refuse what a client sent: as a value for a parser, as an exception for an endpoint. */
import { CallmeError } from '../domain/errors.ts'
import type { Problem } from '../domain/errors.ts'

export function refuse(pointer: string, detail: string): { readonly ok: false; readonly problem: Problem } {
  return { ok: false, problem: { pointer, detail } }
}

export function badRequest(problem: Problem): CallmeError {
  return new CallmeError('bad_request', problem.detail, { problems: [problem] })
}

/** @throws CallmeError `bad_request` where the parser found a problem */
export function valueOrThrow<T>(parsed: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: Problem }): T {
  if (!parsed.ok) throw badRequest(parsed.problem)
  return parsed.value
}
