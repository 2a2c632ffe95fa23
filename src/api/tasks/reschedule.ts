/** `POST /reschedule/…`: gives one task, the tasks of a name, or all of them a new time, in batches whose answer is written as they go. */
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import rescheduleQuery from '../../../schema/api/reschedule-query.json' with { type: 'json' }
import rescheduleBody from '../../../schema/api/reschedule.json' with { type: 'json' }
import { CallmeError, badRequest, valueOrThrow } from '../../domain/errors.ts'
import { formatTaskKey } from '../../domain/task/task-key.ts'
import { FAILURE_STATES, type Task, type TaskState } from '../../domain/task/task.ts'
import { nextMinute, parseTriggerTime } from '../../domain/time/trigger-time.ts'
import type { RescheduleRequest, Store } from '../../store/store.ts'
import type { RescheduleBody, RescheduleQuery } from '../../wire/bodies.ts'
import { presentTask, type ServerDefaults } from '../../wire/present-task.ts'
import { compileCheck, show } from '../../wire/validate.ts'
import type { EndpointOptions } from '../app-options.ts'
import { endpoint } from '../endpoint.ts'
import { jsonBody } from '../http/read-body.ts'
import { isOn, readTimeContext } from '../http/read-query.ts'
import { describeTarget, isKey, type Target } from '../http/read-target.ts'
import { CONTENT_TYPE, isPretty } from '../http/respond.ts'
import { firstTasks, listKeys, refuseUnknown, selectionOf } from '../http/selection.ts'
import { TaskListText } from '../http/task-list-text.ts'
import { NOT_RUNNING } from './run-task.ts'

const BATCH = 200
/** characters: small enough to hold, large enough to be worth a write */
const CHUNK_LENGTH = 2 ** 16

const PATHS = ['/reschedule/:target', '/reschedule']

const checkQuery = compileCheck<RescheduleQuery>(rescheduleQuery, 'query')
const checkBody = compileCheck<RescheduleBody>(rescheduleBody, 'body')

/** What a request asks for; `limit` counts tasks over all batches. */
type Wanted = Omit<RescheduleRequest, 'after'>

export const reschedule = endpoint(
  { operationId: 'reschedule', method: 'post', paths: PATHS, target: 'tasks', scope: 'write', answers: [200, 404, 409, 503] },
  { query: checkQuery, body: jsonBody(checkBody, '{"trigger_at":"+6h"}'), first: 'target' },
  (options) =>
    async ({ req, res, target, query, body }) => {
      const now = options.clock.now()
      const wanted = { ...readSelection(target, query, now), triggerAt: readTime(body(), query, now), now }
      const batches = rescheduleBatches(options, wanted)
      // The first batch is awaited before the head is sent, so that an early failure still gets its status.
      const first = await batches.next()
      if (first.done) await refuseUntaken(options.store, target, wanted.all)
      const message = first.done ? await whyNothing(options.store, wanted) : undefined
      res.writeHead(200, { 'Content-Type': CONTENT_TYPE })
      const answer = answerText(first, batches, new TaskListText(isPretty(req)), { defaults: options.defaults, message })
      await pipeline(Readable.from(answer, { highWaterMark: 1 }), res)
      return undefined
    },
)

function readSelection(target: Target, query: RescheduleQuery, now: number): Omit<Wanted, 'triggerAt' | 'now'> {
  const all = isOn(query.all)
  const selection = selectionOf(target, query, now)
  const untakable = all ? undefined : selection.states?.find((state) => !isFailure(state))
  if (untakable !== undefined) {
    const detail = `state must be failed or skipped, which is what a reschedule takes; add all=true to take entries that are ${untakable}`
    throw badRequest({ pointer: '?state', detail })
  }
  return { selection, all, dryRun: isOn(query.dry_run), limit: Number(query.limit ?? Infinity) }
}

function readTime(body: RescheduleBody, query: RescheduleQuery, now: number): number {
  const triggerAt = givenOnce('trigger_at', body.trigger_at, query.trigger_at)
  const timezone = givenOnce('timezone', body.timezone, query.timezone)
  const context = readTimeContext({ timezone }, now, body.timezone === undefined ? '?timezone' : '/timezone')
  if (triggerAt === undefined) return nextMinute(now)
  const parsed = parseTriggerTime(triggerAt, context)
  if (!parsed.ok && body.trigger_at === undefined) throw badRequest({ ...parsed.problem, pointer: '?trigger_at' })
  return valueOrThrow(parsed)
}

function givenOnce<T extends string | number>(field: string, inBody?: T, inQuery?: string): T | string | undefined {
  if (inBody === undefined || inQuery === undefined || String(inBody) === inQuery) return inBody ?? inQuery
  const detail = `${field} must be given once; got ${show(inBody)} in the body and ${show(inQuery)} in the query`
  throw badRequest({ pointer: `/${field}`, detail })
}

/** Yields no empty batch: the store may pass over many tasks without taking one. */
async function* rescheduleBatches(
  { store, log, wake, turns }: EndpointOptions,
  wanted: Wanted,
): AsyncGenerator<readonly Task[], undefined> {
  let remaining = wanted.limit
  let after: RescheduleRequest['after']
  do {
    const request = { ...wanted, ...(after && { after }), limit: Math.min(BATCH, remaining) }
    const batch = await turns.take(() => store.reschedule(request))
    remaining -= batch.tasks.length
    after = batch.next
    if (batch.tasks.length === 0) continue
    if (!wanted.dryRun) {
      wake(Math.min(...batch.tasks.map((task) => task.dueAt)))
      for (const task of batch.tasks) log.debug('task.stored', { task: formatTaskKey(task) })
    }
    yield batch.tasks
  } while (after && remaining > 0)
}

async function* answerText(
  first: IteratorResult<readonly Task[], undefined>,
  batches: AsyncIterator<readonly Task[], undefined>,
  list: TaskListText,
  { defaults, message }: { readonly defaults: ServerDefaults; readonly message: string | undefined },
): AsyncGenerator<string> {
  let chunk = list.start()
  for (let batch = first; !batch.done; batch = await batches.next()) {
    for (const task of batch.value) {
      chunk += list.item(presentTask(task, defaults))
      if (chunk.length < CHUNK_LENGTH) continue
      yield chunk
      chunk = ''
    }
  }
  yield chunk + list.end({ rescheduled: list.count, ...(message !== undefined && { message }) })
}

/** @throws CallmeError where there is no such task, or where the one task may not be taken */
async function refuseUntaken(store: Store, target: Target, all: boolean): Promise<void> {
  await refuseUnknown(store, target)
  if (!isKey(target)) return
  const task = await store.get(target)
  if (task?.state === 'running') throw untaken(target, 'is running; wait until it has ended')
  if (task === undefined || all) return
  if (!isFailure(task.state)) {
    throw untaken(target, `is ${task.state}, and only failed and skipped entries are taken; add all=true to take it too`)
  }
  if (task.rescheduledTo !== null) {
    const copy = formatTaskKey({ ...task, triggerAt: task.rescheduledTo })
    throw untaken(target, `was rescheduled already, to "${copy}"; add all=true to do it again`)
  }
}

/** What there is instead of tasks that may be taken, and which parameter takes it; undefined where the filter lets nothing through. */
async function whyNothing(store: Store, { selection, all }: Wanted): Promise<string | undefined> {
  const found = (states: readonly TaskState[]): Promise<readonly Task[]> =>
    firstTasks(store, { ...selection, states: states.filter((state) => selection.states?.includes(state) ?? true) })
  const takable = all ? [] : await found(NOT_RUNNING)
  if (takable.length > 0) {
    return `only failed and skipped entries that were not rescheduled yet are taken; there are ${listKeys(takable)}: add all=true to take them too`
  }
  const running = await found(['running'])
  return running.length === 0 ? undefined : `no entry that is running is taken; wait until it has ended: ${listKeys(running)}`
}

function untaken(target: Target, reason: string): CallmeError {
  return new CallmeError('conflict', `the ${describeTarget(target)} ${reason}`)
}

function isFailure(state: TaskState): boolean {
  return (FAILURE_STATES as readonly TaskState[]).includes(state)
}
