/** Tasks that ask for an error callback, brought to a bad end in every way that there is. */
import type { Task, TaskDefinition } from '../../../../src/domain/task/task.ts'
import type { Store } from '../../../../src/store/store.ts'
import { aTask, aTaskWithoutCallback, MINUTE } from '../../../support/a-task.ts'
import { accepted, ackOf } from '../acknowledge.ts'
import { answered, claimAll, claimOne, DUE, expireAll, finish, LEASE_MS, mustGet, putHandler } from './tasks.ts'

const KEY = { name: 'a-task', triggerAt: MINUTE }
type Errors = Pick<TaskDefinition, 'error_callback'>
export const ERRORS: Errors = { error_callback: 'http://errors.test:8080/failed?x=1' }
/** When the tasks here fail unless it says otherwise. */
export const FAILED = DUE + 50

/** A task that was called at `DUE`, and has failed for good at `FAILED`. */
export async function failedTask(store: Store, definition: Partial<TaskDefinition> = {}, errors: Errors = ERRORS): Promise<Task> {
  const task = await claimOne(store, aTask({ definition: { ...errors, ...definition } }))
  await finish(store, task, answered(404, FAILED, 'no such thing'), FAILED)
  return mustGet(store, KEY)
}

/** How a task fails, and what its error callback tells of it then. */
export interface End {
  readonly how: string
  /** @param errors what the task itself says of error callbacks */
  end(store: Store, errors?: Errors): Promise<number>
  readonly state: 'failed' | 'skipped'
  readonly error: string
  readonly statuses: (number | null)[]
}

export const ENDS: readonly End[] = [
  {
    how: 'by the answer to its call',
    async end(store, errors = ERRORS) {
      await failedTask(store, {}, errors)
      return FAILED
    },
    state: 'failed',
    error: 'answered 404, expected 200',
    statuses: [404],
  },
  {
    how: 'with its last retry',
    async end(store, errors = ERRORS) {
      const task = await claimOne(store, aTask({ definition: errors }))
      await finish(store, task, answered(503, FAILED), FAILED)
      const [again] = (await claimAll(store, FAILED + 500)) as [Task]
      await finish(store, again, answered(502, FAILED + 600), FAILED + 600)
      return FAILED + 600
    },
    state: 'failed',
    error: 'answered 502, expected 200',
    statuses: [503, 502],
  },
  {
    how: 'with its node, where it may be called once at the most',
    async end(store, errors = ERRORS) {
      await claimOne(store, aTask({ definition: { ...errors, delivery: 'at_most_once' } }))
      await store.rescue({ now: DUE + LEASE_MS, limit: 10 })
      return DUE + LEASE_MS
    },
    state: 'failed',
    error: 'it is not known whether it was made',
    statuses: [null],
  },
  {
    how: 'by the end of its window before any attempt',
    async end(store, errors = ERRORS) {
      await store.put([aTask({ definition: errors })], { now: DUE - 9 })
      await expireAll(store, DUE + 600_000)
      return DUE + 600_000
    },
    state: 'skipped',
    error: 'out of time',
    statuses: [],
  },
  {
    how: 'by the end of its window after an attempt',
    async end(store, errors = ERRORS) {
      const task = await claimOne(store, aTask({ definition: errors }))
      await finish(store, task, answered(503, FAILED), FAILED)
      await expireAll(store, DUE + 600_000)
      return DUE + 600_000
    },
    state: 'failed',
    error: 'before that: answered 503, expected 200',
    statuses: [503],
  },
  {
    how: 'by the end of its window after its claim',
    async end(store, errors = ERRORS) {
      const task = await claimOne(store, aTask({ definition: errors }))
      await finish(store, task, { kind: 'not_called', reason: 'late' }, DUE + 600_000)
      return DUE + 600_000
    },
    state: 'skipped',
    error: 'out of time',
    statuses: [],
  },
  {
    how: 'by its acknowledgement',
    async end(store, errors = ERRORS) {
      const task = await accepted(store, errors)
      await store.acknowledge(ackOf(task, { status: 'failed', retryable: false, detail: 'broken', now: DUE + 9000 }))
      return DUE + 9000
    },
    state: 'failed',
    error: 'acknowledged as failed: broken',
    statuses: [200],
  },
  {
    how: 'by the silence after its last attempt was accepted',
    async end(store, errors = ERRORS) {
      const task = await accepted(store, { ...errors, retry: 0 })
      await store.rescue({ now: task.leaseUntil as number, limit: 10 })
      return task.leaseUntil as number
    },
    state: 'failed',
    error: 'accepted, but not acknowledged within 5 min',
    statuses: [200],
  },
  {
    how: 'for it has no URL any more',
    async end(store, errors = ERRORS) {
      await putHandler(store, 'a-task', { callback: 'http://handler.test/' })
      await store.put([aTaskWithoutCallback({ definition: errors })], { now: DUE - 9 })
      await store.removeHandler('a-task', { force: true })
      const [task] = (await claimAll(store)) as [Task]
      await finish(store, task, { kind: 'not_called', reason: 'no_callback' }, FAILED)
      return FAILED
    },
    state: 'failed',
    error: 'no callback of its own',
    statuses: [],
  },
]
