/** `POST /claim/<name>`: hands due tasks of a handler to a worker. Where none is due, it waits for one as long as the worker wants. */
import type { Response } from 'express'
import claimQuery from '../../../schema/api/claim-query.json' with { type: 'json' }
import { CallmeError } from '../../domain/errors.ts'
import { formatTaskKey } from '../../domain/task/task-key.ts'
import { filledDefinition } from '../../domain/task/template.ts'
import type { ClaimResult, Store } from '../../store/store.ts'
import type { ClaimQuery } from '../../wire/bodies.ts'
import { presentTask } from '../../wire/present-task.ts'
import { compileCheck, show } from '../../wire/validate.ts'
import type { AppOptions } from '../app-options.ts'
import { endpoint } from '../endpoint.ts'
import { isPretty, sendText } from '../http/respond.ts'
import { TaskListText } from '../http/task-list-text.ts'
import { LongPoll, type Look } from './long-poll.ts'

const DEFAULT_LIMIT = 10
const DEFAULT_LEASE_SECONDS = 60
const BATCH = 100
/** An answer of large payloads ends early: every claimed task must be sent, and an answer has a limit. */
const MAX_ANSWER_LENGTH = 16 * 2 ** 20
/** characters: the store ends a batch of so large tasks before its limit */
const LARGE_BATCH_LENGTH = 2 ** 17

interface Wanted {
  /** of the handler */
  readonly name: string
  readonly limit: number
  readonly leaseMs: number
  readonly pretty: boolean
  /** aborted when the worker is gone */
  readonly left: AbortSignal
}

export const claim = endpoint(
  { operationId: 'claim', method: 'post', paths: ['/claim/:target'], target: 'handler', scope: 'work', answers: [200, 404, 409, 503] },
  { query: compileCheck<ClaimQuery>(claimQuery, 'query'), body: 'absent' },
  (options) => {
    const { store, clock, stopping } = options
    const longPoll = new LongPoll<string>({ clock, stopping, onChange: (listener) => store.onChange(listener) })
    return async ({ req, res, target: name, query: { limit = DEFAULT_LIMIT, lease = DEFAULT_LEASE_SECONDS, wait = 0 } }) => {
      const left = leftSignal(res)
      const wanted = { name, limit: Number(limit), leaseMs: Number(lease) * 1000, pretty: isPretty(req), left }
      const answer = await longPoll.find(name, () => claimOnce(options, wanted), { waitMs: Number(wait) * 1000, left })
      if (left.aborted) return undefined
      // An idle connection would hold up the stop.
      if (stopping.aborted) res.setHeader('Connection', 'close')
      sendText(res, 200, answer ?? nothing(wanted.pretty))
      return undefined
    }
  },
)

function leftSignal(res: Response): AbortSignal {
  const controller = new AbortController()
  res.once('close', () => {
    controller.abort()
  })
  return controller.signal
}

/**
 * Claims in batches, so that no request can claim more than an answer can hold, and none that takes half of their lease.
 * @returns the answer, where there is a task for it
 */
async function claimOnce(options: AppOptions, wanted: Wanted): Promise<Look<string>> {
  const leaseUntil = options.clock.now() + wanted.leaseMs
  const list = new TaskListText(wanted.pretty)
  let text = list.start()
  for (;;) {
    const limit = Math.min(BATCH, wanted.limit - list.count)
    const batch = await claimBatch(options, wanted.name, { leaseUntil, limit }).catch((error: unknown) => {
      // The claimed tasks must reach their worker. It learns of the error with its next claim.
      if (list.count === 0) throw error
      return { tasks: [], nextDue: undefined }
    })
    const before = text.length
    for (const task of batch.tasks) text += list.item(presentTask({ ...task, definition: filledDefinition(task) }, options.defaults))
    if (list.count === 0) return { nextDue: batch.nextDue }
    const isFull = batch.tasks.length === limit || text.length - before > LARGE_BATCH_LENGTH
    const isInTime = options.clock.now() < leaseUntil - wanted.leaseMs / 2 && !wanted.left.aborted
    if (isFull && list.count < wanted.limit && text.length < MAX_ANSWER_LENGTH && isInTime) continue
    return { found: text + list.end({ lease_until: new Date(leaseUntil).toISOString() }) }
  }
}

/** @throws CallmeError where no handler has this name, where its tasks are not for workers, or where the store does not answer */
async function claimBatch(
  { store, node, clock, log }: AppOptions,
  name: string,
  worker: { leaseUntil: number; limit: number },
): Promise<ClaimResult> {
  const result = await store.pull(name, { ...worker, now: clock.now(), node })
  if (result === 'not_pulled') throw await refusalOf(store, name)
  for (const task of result.tasks) {
    log.debug('task.claimed', { task: formatTaskKey(task), run_id: task.runId, attempt: task.attempts, node })
  }
  return result
}

async function refusalOf(store: Store, name: string): Promise<CallmeError> {
  const handler = await store.getHandler(name)
  return handler === undefined
    ? new CallmeError(
        'not_found',
        `there is no handler ${show(name)}; a claim goes by a handler's own name, such as "mail.*", and PUT /handler/<name> {"pull": true} makes one`,
      )
    : new CallmeError('conflict', `the tasks of ${show(name)} are called, and not for workers; its handler must say "pull": true for that`)
}

function nothing(pretty: boolean): string {
  const list = new TaskListText(pretty)
  return list.start() + list.end({ lease_until: null })
}
