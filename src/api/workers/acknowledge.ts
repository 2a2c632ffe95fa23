/** `POST /ack/<key>`: whoever has a running task says how its work has ended, or that it goes on. */
import type { RequestHandler } from 'express'
import ackBody from '../../../schema/api/ack.json' with { type: 'json' }
import { CallmeError, valueOrThrow } from '../../domain/errors.ts'
import { truncateText } from '../../domain/attempt/truncate-text.ts'
import { presentTask } from '../../wire/present-task.ts'
import { isFinal } from '../../domain/task/task.ts'
import type { Task } from '../../domain/task/task.ts'
import { formatTaskKey } from '../../domain/task/task-key.ts'
import type { Log } from '../../telemetry/log.ts'
import type { AckBody } from '../../wire/bodies.ts'
import type { AckResult } from '../../store/store.ts'
import type { AppOptions } from '../app-options.ts'
import { notFound } from '../http/selection.ts'
import { bodyJson, readBody } from '../http/read-body.ts'
import { refuseQuery } from '../http/read-query.ts'
import { describeTarget, readKey } from '../http/read-target.ts'
import { sendJson } from '../http/respond.ts'
import { compileCheck, show } from '../../wire/validate.ts'

const EXAMPLE = '{"attempt":1,"status":"successful"}'

const checkAckBody = compileCheck<AckBody>(ackBody, 'body')

export function acknowledge({ store, node, clock, log, wake, random, defaults }: AppOptions): RequestHandler[] {
  return [
    readBody(),
    async (req, res) => {
      refuseQuery(req)
      const key = readKey(req)
      const ack = valueOrThrow(checkAckBody(bodyJson(req, EXAMPLE)))
      const { attempt, status, retryable = true, run_id: runId } = ack
      const result = await store.acknowledge({
        key,
        attempt,
        status,
        retryable,
        detail: textOf(ack.detail),
        now: clock.now(),
        random: random(),
        ...(runId !== undefined && { runId: runId.toLowerCase() }),
      })
      if (result.status === 'unknown') throw notFound(key)
      if (result.status !== 'acknowledged') throw refusalOf(result, ack)
      // Its end may make room for the next task of its handler, and its error callback is due at once.
      if (status !== 'running') wake(clock.now())
      report(result.task, { status, node }, log)
      sendJson(req, res, 200, { message: 'acknowledged', task: presentTask(result.task, defaults) })
    },
  ]
}

function textOf(detail: AckBody['detail']): string | null {
  if (detail === undefined || detail === null) return null
  return truncateText(Buffer.from(typeof detail === 'string' ? detail : JSON.stringify(detail)))
}

function refusalOf({ status, task }: Exclude<AckResult, { status: 'acknowledged' | 'unknown' }>, ack: AckBody): CallmeError {
  const entry = describeTarget(task)
  switch (status) {
    case 'not_running':
      return new CallmeError('conflict', `the ${entry} is ${task.state} and not running: ${whatFollows(task)}`)
    case 'other_attempt': {
      const sentence = `attempt ${ack.attempt} of the ${entry} is not the one that is running; acknowledge attempt ${task.attempts}, if it is yours`
      return new CallmeError('conflict', sentence)
    }
    case 'other_run': {
      const sentence = `the ${entry} is not in the run ${show(ack.run_id)}; its run is "${task.runId}", which is ${task.state}`
      return new CallmeError('conflict', `${sentence} with ${task.attempts} attempts made`)
    }
    case 'unexpected': {
      const sentence = `attempt ${task.attempts} of the ${entry} ends with the answer of its call, and is not acknowledged`
      return new CallmeError('conflict', `${sentence}; give the task an ack_timeout, or its handler "pull": true`)
    }
  }
}

function whatFollows({ state, attempts, dueAt }: Task): string {
  if (isFinal(state)) return 'there is nothing left to acknowledge'
  return `the next one to acknowledge is attempt ${attempts + 1}, which starts at ${new Date(dueAt).toISOString()} at the earliest`
}

function report(task: Task, said: { status: AckBody['status']; node: string }, log: Log): void {
  const fields = { task: formatTaskKey(task), run_id: task.runId, attempt: task.attempts, ...said, state: task.state, error: task.error }
  if (task.state === 'failed') log.warn('task.acknowledged', fields)
  else log.debug('task.acknowledged', fields)
}
