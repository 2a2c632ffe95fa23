/** `POST /ack/<key>` or `/ack/<name>`: an endpoint or a worker reports how the work of a running task has ended, or that it goes on. */
import ackBody from '../../../schema/api/ack.json' with { type: 'json' }
import { truncateText } from '../../domain/attempt/truncate-text.ts'
import { CallmeError } from '../../domain/errors.ts'
import { formatTaskKey } from '../../domain/task/task-key.ts'
import { isFinal, type Task } from '../../domain/task/task.ts'
import type { AckResult } from '../../store/store.ts'
import type { AckBody } from '../../wire/bodies.ts'
import { JsonText } from '../../wire/json-text.ts'
import { presentTask } from '../../wire/present-task.ts'
import { compileCheck, show } from '../../wire/validate.ts'
import type { AppOptions } from '../app-options.ts'
import { endpoint } from '../endpoint.ts'
import { jsonBody } from '../http/read-body.ts'
import { checkPlainQuery } from '../http/read-query.ts'
import { describeTarget } from '../http/read-target.ts'
import { keyOf, notFound } from '../http/selection.ts'

const checkBody = compileCheck<AckBody>(ackBody, 'body')

export const acknowledge = endpoint(
  { operationId: 'ack', method: 'post', paths: ['/ack/:target'], target: 'entry', scope: 'work', answers: [200, 404, 409, 503] },
  { query: checkPlainQuery, body: jsonBody(checkBody, '{"attempt":1,"status":"successful"}') },
  (options) =>
    async ({ target, body }) => {
      const { store, clock, wake, random, defaults } = options
      const ack = body()
      const key = await keyOf(store, target, ['running'])
      const { attempt, status, retryable = true, run_id: runId } = ack
      const result = await store.acknowledge({
        ...{ key, attempt, status, retryable },
        detail: textOf(ack.detail),
        now: clock.now(),
        random: random(),
        ...(runId !== undefined && { runId: runId.toLowerCase() }),
      })
      if (result.status === 'unknown') throw notFound(key)
      if (result.status !== 'acknowledged') throw refusalOf(result, ack)
      // The end may free capacity for the next task of its handler, and its error callback is due at once.
      if (status !== 'running') wake(clock.now())
      logAck(options, result.task, status)
      return { status: 200, body: { message: 'acknowledged', task: presentTask(result.task, defaults) } }
    },
)

function textOf(detail: AckBody['detail']): string | null {
  if (detail === undefined || detail === null) return null
  return truncateText(Buffer.from(typeof detail === 'string' ? detail : detail instanceof JsonText ? detail.text : JSON.stringify(detail)))
}

function refusalOf({ status, task }: Exclude<AckResult, { status: 'acknowledged' | 'unknown' }>, ack: AckBody): CallmeError {
  const described = describeTarget(task)
  switch (status) {
    case 'not_running':
      return new CallmeError('conflict', `the ${described} is ${task.state} and not running: ${whatFollows(task)}`)
    case 'other_attempt': {
      const sentence = `attempt ${ack.attempt} of the ${described} is not the one that is running; acknowledge attempt ${task.attempts}, if it is yours`
      return new CallmeError('conflict', sentence)
    }
    case 'other_run': {
      const sentence = `the ${described} is not in the run ${show(ack.run_id)}; its run is "${task.runId}", which is ${task.state}`
      return new CallmeError('conflict', `${sentence} with ${task.attempts} attempts made`)
    }
    case 'unexpected': {
      const sentence = `attempt ${task.attempts} of the ${described} ends with the answer of its call, and is not acknowledged`
      return new CallmeError('conflict', `${sentence}; give the task an ack_timeout, or its handler "pull": true`)
    }
  }
}

function whatFollows({ state, attempts, dueAt }: Task): string {
  if (isFinal(state)) return 'there is nothing left to acknowledge'
  return `the next one to acknowledge is attempt ${attempts + 1}, which starts at ${new Date(dueAt).toISOString()} at the earliest`
}

function logAck({ log, node }: AppOptions, task: Task, status: AckBody['status']): void {
  const { runId: run_id, attempts: attempt, state, error } = task
  const fields = { task: formatTaskKey(task), run_id, attempt, status, node, state, error }
  if (state === 'failed') log.warn('task.acknowledged', fields)
  else log.debug('task.acknowledged', fields)
}
