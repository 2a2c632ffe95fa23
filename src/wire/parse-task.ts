/** Checks a task that a client sent, and turns it into the task that is stored. */
import taskSchema from '../../schema/api/task.json' with { type: 'json' }
import { problemsIn, refuse, refuseAll, type Parsed } from '../domain/errors.ts'
import { newTask, type NewTask, type TaskDefinition } from '../domain/task/task.ts'
import { parseTaskName } from '../domain/task/task-key.ts'
import { nextOccurrence, parseRecurrence } from '../domain/time/recurrence.ts'
import { explainTimezone } from '../domain/time/time-zone.ts'
import { parseTriggerTime } from '../domain/time/trigger-time.ts'
import type { TaskBody } from './bodies.ts'
import { checkCall } from './call-rules.ts'
import { storedPayloads } from './json-text.ts'
import { checkTemplates } from './template-rules.ts'
import { compileCheck, findDeep, findMisplaced, show } from './validate.ts'

export const TASK_EXAMPLE = '{"trigger_at":"+6h","callback":"http://example.com/run"}'

/** They are judged together. */
const TIMES = ['trigger_at', 'repeat', 'timezone']

/** The shape of a task. Its name, its time and the call itself are checked by `taskOf`. */
export const checkTask = compileCheck<TaskBody>(taskSchema, 'body', {
  before: (body) => [...findDeep(body), ...findMisplaced(body, 'task')],
  after: (fields, told, now) => [
    ...(TIMES.some((name) => told.has(name)) ? [] : problemsIn(timeOf(fields, now))),
    ...checkCall(fields),
    ...checkTemplates({ error_payload: fields.error_payload }),
  ],
})

/** @param name the task's name from the path; without it the body must hold one @param now epoch ms */
export function taskOf(name: string | undefined, body: TaskBody, now: number): Parsed<NewTask> {
  const { task_name, trigger_at: _, unique, ...fields } = body
  const parsedName = nameOf(name, task_name)
  const triggerAt = timeOf(body, now)
  const inCall = [...checkCall(fields), ...checkTemplates({ error_payload: fields.error_payload })]
  if (!parsedName.ok || !triggerAt.ok || inCall.length > 0)
    return refuseAll([...problemsIn(parsedName), ...problemsIn(triggerAt), ...inCall])
  if (fields.callback_method !== undefined) fields.callback_method = fields.callback_method.toUpperCase()
  // The types differ only in the case of the method, which is right now.
  const definition = { ...fields, ...storedPayloads(fields) } as TaskDefinition
  const task = newTask({ name: parsedName.value, triggerAt: triggerAt.value }, definition, now)
  return { ok: true, value: unique === undefined ? task : { ...task, unique } }
}

/** The time of the first task: `trigger_at`, or without it the first time of the series. */
function timeOf({ trigger_at: sent, repeat, timezone }: TaskBody, now: number): Parsed<number> {
  const problem = timezone === undefined ? undefined : explainTimezone(timezone)
  if (problem) return { ok: false, problem }
  const given = sent === undefined ? undefined : parseTriggerTime(sent, { now, timezone })
  if (repeat === undefined)
    return given ?? refuse('/trigger_at', `trigger_at is required: it must be ${taskSchema.properties.trigger_at.expects}`)
  const recurrence = parseRecurrence(repeat, timezone)
  if (!recurrence.ok) return { ...recurrence, others: given === undefined ? [] : problemsIn(given) }
  if (given !== undefined) return given
  const first = nextOccurrence(recurrence.value, Math.floor(now / 1000))
  return first === undefined ? refuse('/repeat', `repeat must come true within ten years; got ${show(repeat)}`) : { ok: true, value: first }
}

function nameOf(fromPath: string | undefined, fromBody: string | undefined): Parsed<string> {
  if (fromPath === undefined) {
    return fromBody === undefined
      ? refuse('/task_name', 'task_name is required: it must be 1 to 200 characters without "@", "/", control characters or white space')
      : parseTaskName(fromBody)
  }
  if (fromBody === undefined || fromBody === fromPath) return { ok: true, value: fromPath }
  return refuse('/task_name', `task_name must be absent or equal to the name in the path, ${show(fromPath)}; got ${show(fromBody)}`)
}
