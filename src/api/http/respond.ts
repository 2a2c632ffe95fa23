/** Writes JSON answers: in one line, or with `?pretty` indented by four spaces. Each ends with a line break. */
import type { OutgoingHttpHeaders } from 'node:http'
import { writeJson } from '../../wire/json-text.ts'
import type { Request, Response } from 'express'

export const INDENT = 4
export const CONTENT_TYPE = 'application/json; charset=utf-8'

/** Reads the URL itself, because the refusal of a query is pretty too. */
export function isPretty(req: Request): boolean {
  return req.url.includes('?') && /[?&]pretty(=(true|1)?)?(&|$)/.test(req.url)
}

export function sendJson(req: Request, res: Response, status: number, body: unknown, headers: OutgoingHttpHeaders = {}): void {
  sendText(res, status, `${writeJson(body, isPretty(req) ? INDENT : 0)}\n`, headers)
}

/** Sends JSON text as it is. It ends with a line break. `writeHead` and `end` cost a fraction of `res.send`. */
export function sendText(res: Response, status: number, text: string, headers: OutgoingHttpHeaders = {}): void {
  res.writeHead(status, { 'Content-Type': CONTENT_TYPE, 'Content-Length': Buffer.byteLength(text), ...headers })
  res.end(text)
}
