/** Turns every exception into an answer: a problem document (RFC 9457), or a cut connection where the answer has begun. */
import { STATUS_CODES } from 'node:http'
import type { ErrorRequestHandler, Request, Response } from 'express'
import errors from '../../../schema/api/errors.json' with { type: 'json' }
import { CallmeError, badRequest, type ErrorCode, type Problem } from '../../domain/errors.ts'
import type { Log } from '../../telemetry/log.ts'
import { sendJson } from './respond.ts'
import { show } from '../../wire/validate.ts'

/** The compiler demands each code. */
const ERRORS: Readonly<Record<ErrorCode, { readonly status: number }>> = errors
const RETRY_AFTER_SECONDS = 5

/** An error as a client sees it, in an answer and in the results of a batch. A person reads its sentence first, and each sentence once. */
export interface PresentedError {
  /** one sentence: what is wrong and what would be right */
  readonly error: string
  /** every wrong member; the sentence of the first one is `error` */
  readonly errors?: readonly (Pick<Problem, 'pointer'> | Problem)[]
}

export function errorHandler(log: Log): ErrorRequestHandler {
  // express recognizes an error handler by its four parameters.
  return (thrown: unknown, req, res, _next) => {
    if (hasClientLeft(thrown)) return
    const error = thrown instanceof URIError ? badPath(req) : thrown
    const status = error instanceof CallmeError ? httpStatusOf(error) : 500
    if (status === 500) log.error('request.failed', { method: req.method, err: error })
    if (status === 503) log.warn('request.failed', { method: req.method, err: error })
    if (res.headersSent) res.destroy()
    else if (status === 500) sendProblem(req, res, status, { error: 'callme failed on this request; its log says why' })
    else sendProblem(req, res, status, presentError(error as CallmeError))
  }
}

export function httpStatusOf(error: CallmeError): number {
  return ERRORS[error.code].status
}

export function presentError({ message, problems }: CallmeError): PresentedError {
  const [first, ...others] = problems
  return { error: message, ...(first && { errors: [{ pointer: first.pointer }, ...others] }) }
}

export function sendProblem(req: Request, res: Response, status: number, presented: PresentedError): void {
  sendJson(req, res, status, problemDocument(status, presented), {
    'Content-Type': 'application/problem+json',
    ...(status === 503 && { 'Retry-After': RETRY_AFTER_SECONDS }),
  })
}

export function problemDocument(status: number, presented: PresentedError): object {
  return { ...presented, type: 'about:blank', title: STATUS_CODES[status], status }
}

/** The client closed its connection during an answer. Nobody needs to know, and nothing is wrong here. */
function hasClientLeft(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === 'ERR_STREAM_PREMATURE_CLOSE'
}

function badPath(req: Request): CallmeError {
  return badRequest({ pointer: 'path', detail: `the name or key in the path must be percent-encoded UTF-8; got ${show(req.path)}` })
}
