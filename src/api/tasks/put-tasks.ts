/** `POST /tasks`: many tasks in one durable commit, as a JSON array or as NDJSON. What is wrong with one entry does not touch the others. */
import type { RequestHandler } from 'express'
import { CallmeError, badRequest, refuse, valueOrThrow } from '../../domain/errors.ts'
import type { Parsed } from '../../domain/errors.ts'
import type { NewTask } from '../../domain/task/task.ts'
import { formatTaskKey } from '../../domain/task/task-key.ts'
import type { PutResult } from '../../store/store.ts'
import type { AppOptions } from '../app-options.ts'
import { httpStatusOf, presentError } from '../http/problem.ts'
import type { PresentedError } from '../http/problem.ts'
import { parseTask } from '../../wire/parse-task.ts'
import { refusalOf, replacesNothing } from './put-task.ts'
import { bodyText, parseJson, readBody } from '../http/read-body.ts'
import { refuseQuery } from '../http/read-query.ts'
import { sendJson } from '../http/respond.ts'

const MAX_BODY_BYTES = 16 * 2 ** 20
const MAX_ENTRIES = 1000
const EXAMPLE = '{"task_name":"a","trigger_at":"+6h","callback":"http://example.com/run"}'

type EntryResult = { readonly status: 200 | 201; readonly key: string } | ({ readonly status: number } & PresentedError)

export function putTasks({ store, clock, log, wake }: AppOptions): RequestHandler[] {
  return [
    readBody(MAX_BODY_BYTES),
    async (req, res) => {
      refuseQuery(req)
      const ifAbsent = replacesNothing(req)
      const now = clock.now()
      const entries = readEntries(bodyText(req)).map((entry) => (entry.ok ? parseTask(undefined, entry.value, now) : entry))
      const newTasks = entries.flatMap((entry) => (entry.ok ? [entry.value] : []))
      const stored = newTasks.length === 0 ? [] : await store.put(newTasks, { now, ifAbsent })
      const results = resultsOf(entries, stored)
      const dueAts = stored.flatMap((result) => ('task' in result ? [result.task.dueAt] : []))
      if (dueAts.length > 0) wake(Math.min(...dueAts))
      for (const result of results) if ('key' in result) log.debug('task.stored', { task: result.key })
      sendJson(req, res, dueAts.length === results.length ? 200 : 207, { results })
    },
  ]
}

/** @throws CallmeError where there is nothing, too much, or an array that is not JSON */
function readEntries(text: string): Parsed<unknown>[] {
  const body = text.trim()
  const isArray = body.startsWith('[')
  const entries = isArray
    ? (valueOrThrow(parseJson(body, `[${EXAMPLE}]`)) as unknown[])
    : body.split('\n').filter((line) => line.trim() !== '')
  if (entries.length === 0) {
    throw badRequest({ pointer: '', detail: `the body must hold at least one task, as a JSON array or one per line, such as ${EXAMPLE}` })
  }
  if (entries.length > MAX_ENTRIES) {
    throw new CallmeError(
      'too_large',
      `one request may hold at most ${MAX_ENTRIES} tasks; got ${entries.length}, send them in several requests`,
    )
  }
  return entries.map((entry) => (isArray ? { ok: true, value: entry } : readLine(entry as string)))
}

function readLine(line: string): Parsed<unknown> {
  const parsed = parseJson(line, EXAMPLE)
  return parsed.ok
    ? parsed
    : refuse('', `${parsed.problem.detail}; each task stands on a line of its own (curl keeps them with --data-binary)`)
}

function resultsOf(entries: readonly Parsed<NewTask>[], stored: readonly PutResult[]): EntryResult[] {
  const remaining = stored.values()
  return entries.map((entry) => {
    if (!entry.ok) return failure(badRequest(entry.problem))
    const result = remaining.next().value
    if (result === undefined) throw new Error('the store gave fewer results than it was given tasks')
    if (!('task' in result)) return failure(refusalOf(result.status, entry.value))
    return { status: result.status === 'created' ? 201 : 200, key: formatTaskKey(result.task) }
  })
}

function failure(error: CallmeError): EntryResult {
  return { status: httpStatusOf(error), ...presentError(error) }
}
