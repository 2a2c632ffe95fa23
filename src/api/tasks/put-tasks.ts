/** `POST /tasks`: many tasks, as a JSON array or as NDJSON, in one durable commit, or in several where they are large. A problem with one task does not touch the others. */
import taskSchema from '../../../schema/api/task.json' with { type: 'json' }
import { CallmeError, badRequest, refuse, valueOrThrow, type Parsed } from '../../domain/errors.ts'
import { formatTaskKey } from '../../domain/task/task-key.ts'
import type { NewTask } from '../../domain/task/task.ts'
import type { PutResult } from '../../domain/task/client-write.ts'
import { PAGE_BYTES, firstPage, sizeOf } from '../../domain/task/page-size.ts'
import type { Store } from '../../store/store.ts'
import { elementsOf, keepTexts } from '../../wire/json-text.ts'
import { checkTask, taskOf, type SentTask, type StoredTask } from '../../wire/parse-task.ts'
import { regardsStored } from '../../wire/put-back.ts'
import type { EndpointOptions } from '../app-options.ts'
import { endpoint } from '../endpoint.ts'
import { httpStatusOf, presentError, type PresentedError } from '../http/problem.ts'
import { parseJson } from '../http/read-body.ts'
import { inSlices } from '../http/slices.ts'
import { checkPlainQuery } from '../http/read-query.ts'
import { refusalOf, replacesNothing, statusOf } from './put-task.ts'
import { storedTask } from './stored-task.ts'

const MAX_TASKS = 1000
const EXAMPLE = '{"task_name":"a","trigger_at":"+6h","callback":"http://example.com/run"}'

/** `replaces` is the key of the task of the series whose place it takes. `stored` is false where a unique task was there. */
interface WireStored {
  readonly status: 200 | 201
  readonly key: string
  readonly replaces?: string
  readonly stored?: false
}

type WireResult = WireStored | ({ readonly status: number } & PresentedError)

const body = {
  schema: { type: 'array', items: taskSchema },
  example: `[${EXAMPLE}]`,
  limitBytes: 16 * 2 ** 20,
  read: (text: string) => text.trim(),
}

export const putTasks = endpoint(
  { operationId: 'putMany', method: 'post', paths: ['/tasks'], target: 'none', scope: 'write', answers: [200, 207, 503] },
  { query: checkPlainQuery, body, condition: replacesNothing },
  (options) =>
    async ({ body, ifAbsent }) => {
      const { clock, log, wake } = options
      const now = clock.now()
      const tasks = await readTasks(body(), now, options)
      const newTasks = tasks.flatMap((task) => (task.ok ? [task.value] : []))
      const stored = await storeInParts(newTasks, { now, ifAbsent }, options)
      const results = resultsOf(tasks, stored)
      const dueAts = stored.flatMap((result) => ('task' in result && result.status !== 'kept' ? [result.task.dueAt] : []))
      if (dueAts.length > 0) wake(Math.min(...dueAts))
      for (const result of results) if ('key' in result && result.stored !== false) log.debug('task.stored', { task: result.key })
      return { status: results.every((result) => 'key' in result) ? 200 : 207, body: { results } }
    },
)

/**
 * Large tasks are stored in parts, each in a turn and a commit of its own, so that due tasks are called in between.
 * @returns for the tasks after a part that the store refused, its error @throws CallmeError where nothing is stored
 */
async function storeInParts(tasks: readonly NewTask[], options: Parameters<Store['put']>[1], { store, turns }: EndpointOptions) {
  const stored: (PutResult | CallmeError)[] = []
  while (stored.length < tasks.length) {
    const rest = tasks.slice(stored.length)
    try {
      stored.push(...(await turns.take(() => store.put(firstPage(rest, sizeOfTask), options))))
    } catch (error) {
      if (stored.length === 0 || !(error instanceof CallmeError)) throw error
      stored.push(...rest.map(() => error))
    }
  }
  return stored
}

function sizeOfTask({ definition }: NewTask): number {
  return sizeOf(definition.payload, PAGE_BYTES)
}

/** @throws CallmeError where there is no task, where there are too many, and on an array that is not JSON */
async function readTasks(body: string, now: number, options: EndpointOptions): Promise<Parsed<NewTask>[]> {
  const { turns } = options
  const isArray = body.startsWith('[')
  if (isArray && !body.endsWith(']')) refuseArray(body)
  const texts = isArray ? await inSlices(elementsOf(body), turns, (text) => text) : body.split('\n').filter((line) => line.trim() !== '')
  checkNumber(texts)
  const sent = await inSlices(texts, turns, (text) => checkSent(isArray ? readElement(text, body) : readLine(text), text, now))
  const stored = new Map<Parsed<SentTask>, StoredTask | undefined>()
  for (const one of sent) if (one.ok && regardsStored(one.value)) stored.set(one, await storedTask(options, undefined, one.value, now))
  return sent.map((one) => (one.ok ? taskOf(undefined, one.value, now, stored.get(one)) : one))
}

function checkNumber(values: readonly string[]): void {
  if (values.length === 0) {
    throw badRequest({ pointer: '', detail: `the body must hold at least one task, as a JSON array or one per line, such as ${EXAMPLE}` })
  }
  if (values.length > MAX_TASKS) {
    const detail = `one request may hold at most ${MAX_TASKS} tasks; got ${values.length}, send them in several requests`
    throw new CallmeError('too_large', detail)
  }
}

/** @throws CallmeError where the array is not JSON; the reason is that of the whole body */
function readElement(text: string, body: string): Parsed<unknown> {
  const parsed = parseJson(text, EXAMPLE)
  if (!parsed.ok) refuseArray(body)
  return parsed
}

function refuseArray(body: string): void {
  valueOrThrow(parseJson(body, `[${EXAMPLE}]`))
}

function readLine(line: string): Parsed<unknown> {
  const parsed = parseJson(line, EXAMPLE)
  if (parsed.ok) return parsed
  return refuse('', `${parsed.problem.detail}; each task stands on a line of its own (curl keeps them with --data-binary)`)
}

function checkSent(value: Parsed<unknown>, text: string, now: number): Parsed<SentTask> {
  const checked = value.ok ? checkTask.at(value.value, now) : value
  return checked.ok ? keepTexts(checked.value, text) : checked
}

/** @param stored the results for the good tasks, in their order */
function resultsOf(tasks: readonly Parsed<NewTask>[], stored: readonly (PutResult | CallmeError)[]): WireResult[] {
  const remaining = stored.values()
  return tasks.map((task) => {
    if (!task.ok) return failure(badRequest(task.problem, task.others))
    const result = remaining.next().value
    if (result === undefined) throw new Error('the store gave fewer results than it was given tasks')
    if (result instanceof CallmeError) return failure(result)
    if (!('task' in result)) return failure(refusalOf(result, task.value))
    const key = formatTaskKey(result.task)
    if (result.status === 'kept') return { status: 200, key, stored: false }
    const { replaces } = result
    return { status: statusOf(result), key, ...(replaces && { replaces: formatTaskKey(replaces) }) }
  })
}

function failure(error: CallmeError): WireResult {
  return { ...presentError(error), status: httpStatusOf(error) }
}
