/** `POST /reschedule/…`: gives one entry, those of a name, or all of them a new time, in batches whose answer is written as they go. */
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Request, RequestHandler } from 'express'
import rescheduleBody from '../../../schema/api/reschedule.json' with { type: 'json' }
import rescheduleQuery from '../../../schema/api/reschedule-query.json' with { type: 'json' }
import { CallmeError, badRequest, valueOrThrow } from '../../domain/errors.ts'
import { presentTask } from '../../wire/present-task.ts'
import type { ServerDefaults } from '../../wire/present-task.ts'
import { FAILURE_STATES } from '../../domain/task/task.ts'
import type { Task, TaskState } from '../../domain/task/task.ts'
import { formatTaskKey } from '../../domain/task/task-key.ts'
import { nextMinute, parseTriggerTime } from '../../domain/time/trigger-time.ts'
import type { RescheduleBody, RescheduleQuery } from '../../wire/bodies.ts'
import type { RescheduleRequest, Store } from '../../store/store.ts'
import type { AppOptions } from '../app-options.ts'
import { refuseUnknown, selectionOf } from '../http/selection.ts'
import { bodyJson, readBody } from '../http/read-body.ts'
import { isOn, readQuery } from '../http/read-query.ts'
import { describeTarget, readTarget } from '../http/read-target.ts'
import type { Target } from '../http/read-target.ts'
import { CONTENT_TYPE, isPretty } from '../http/respond.ts'
import { TaskListText } from '../http/task-list-text.ts'
import { compileCheck, show } from '../../wire/validate.ts'

const BATCH = 500
/** characters: small enough to hold, large enough to be worth a write */
const CHUNK_LENGTH = 2 ** 16

const checkBody = compileCheck<RescheduleBody>(rescheduleBody, 'body')
const checkQuery = compileCheck<RescheduleQuery>(rescheduleQuery, 'query')

/** What is asked for; `limit` counts entries over all batches. */
type Wanted = Omit<RescheduleRequest, 'after'>

export function reschedule(options: AppOptions): RequestHandler[] {
  return [
    readBody(),
    async (req, res) => {
      const target = readTarget(req)
      const wanted = readWanted(req, target, options.clock.now())
      const batches = rescheduleBatches(options, wanted)
      // The first batch is awaited before the head is sent, so that what fails early still gets its status.
      const first = await batches.next()
      if (first.done) await refuseUntaken(options.store, target, wanted.all)
      res.writeHead(200, { 'Content-Type': CONTENT_TYPE })
      const answer = answerText(first, batches, new TaskListText(isPretty(req)), options.defaults)
      await pipeline(Readable.from(answer, { highWaterMark: 1 }), res)
    },
  ]
}

function readWanted(req: Request, target: Target, now: number): Wanted {
  const query = readQuery(req, checkQuery)
  const all = isOn(query.all)
  const selection = selectionOf(target, query, now)
  const untakable = all ? undefined : selection.states?.find((state) => !isFailure(state))
  if (untakable !== undefined) {
    const detail = `state must be failed or skipped, which is what a reschedule takes; add all=true to take entries that are ${untakable}`
    throw badRequest({ pointer: '?state', detail })
  }
  const limit = query.limit === undefined ? Infinity : Number(query.limit)
  return { selection, all, triggerAt: readTime(req, query, now), now, dryRun: isOn(query.dry_run), limit }
}

function readTime(req: Request, query: RescheduleQuery, now: number): number {
  const body = valueOrThrow(checkBody(bodyJson(req, '{"trigger_at":"+6h"}')))
  if (body.trigger_at !== undefined && query.trigger_at !== undefined && String(body.trigger_at) !== query.trigger_at) {
    const detail = `trigger_at must be given once; got ${show(body.trigger_at)} in the body and ${show(query.trigger_at)} in the query`
    throw badRequest({ pointer: '/trigger_at', detail })
  }
  if (body.trigger_at !== undefined) return valueOrThrow(parseTriggerTime(body.trigger_at, now))
  if (query.trigger_at === undefined) return nextMinute(now)
  const parsed = parseTriggerTime(query.trigger_at, now)
  if (!parsed.ok) throw badRequest({ ...parsed.problem, pointer: '?trigger_at' })
  return parsed.value
}

/** Never an empty batch: the store may pass over many entries without taking one. */
async function* rescheduleBatches({ store, log, wake }: AppOptions, wanted: Wanted): AsyncGenerator<readonly Task[], undefined> {
  let left = wanted.limit
  let after: RescheduleRequest['after']
  do {
    const batch = await store.reschedule({ ...wanted, ...(after && { after }), limit: Math.min(BATCH, left) })
    left -= batch.tasks.length
    after = batch.next
    if (batch.tasks.length === 0) continue
    if (!wanted.dryRun) {
      wake(Math.min(...batch.tasks.map((task) => task.dueAt)))
      for (const task of batch.tasks) log.debug('task.stored', { task: formatTaskKey(task) })
    }
    yield batch.tasks
  } while (after && left > 0)
}

async function* answerText(
  first: IteratorResult<readonly Task[], undefined>,
  batches: AsyncIterator<readonly Task[], undefined>,
  list: TaskListText,
  defaults: ServerDefaults,
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
  yield chunk + list.end({ rescheduled: list.count })
}

/** @throws CallmeError where nothing was taken because there is nothing, or because the one entry may not be taken */
async function refuseUntaken(store: Store, target: Target, all: boolean): Promise<void> {
  await refuseUnknown(store, target)
  if (target.name === undefined || target.triggerAt === undefined) return
  const task = await store.get({ name: target.name, triggerAt: target.triggerAt })
  if (task?.state === 'running') throw untaken(target, 'is running; wait until it has ended')
  if (task === undefined || all) return
  if (!isFailure(task.state)) {
    throw untaken(target, `is ${task.state}, and only failed and skipped entries are taken; add all=true to take it too`)
  }
  if (task.rescheduledTo !== null) throw untaken(target, `was rescheduled already, to ${task.rescheduledTo}; add all=true to do it again`)
}

function untaken(target: Target, reason: string): CallmeError {
  return new CallmeError('conflict', `the ${describeTarget(target)} ${reason}`)
}

function isFailure(state: TaskState): boolean {
  return (FAILURE_STATES as readonly TaskState[]).includes(state)
}
