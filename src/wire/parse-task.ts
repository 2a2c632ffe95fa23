/** Checks a task that a client sent, and turns it into the task that is stored. */
import taskSchema from '../../schema/api/task.json' with { type: 'json' }
import { refuse, type Parsed } from '../domain/errors.ts'
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

/** The shape of a task. Its name, its time and the call itself are checked by `taskOf`. */
export const checkTask = compileCheck<TaskBody>(taskSchema, 'body', (body) => findDeep(body) ?? findMisplaced(body, 'task'))

/** @param name the task's name from the path; without it the body must hold one @param now epoch ms */
export function taskOf(name: string | undefined, { task_name, trigger_at, unique, ...fields }: TaskBody, now: number): Parsed<NewTask> {
  const parsedName = nameOf(name, task_name)
  if (!parsedName.ok) return parsedName
  const triggerAt = timeOf(trigger_at, fields, now)
  if (!triggerAt.ok) return triggerAt
  const problem = checkCall(fields) ?? checkTemplates({ error_payload: fields.error_payload })
  if (problem) return { ok: false, problem }
  if (fields.callback_method !== undefined) fields.callback_method = fields.callback_method.toUpperCase()
  // The types differ only in the case of the method, which is right now.
  const definition = { ...fields, ...storedPayloads(fields) } as TaskDefinition
  const task = newTask({ name: parsedName.value, triggerAt: triggerAt.value }, definition, now)
  return { ok: true, value: unique === undefined ? task : { ...task, unique } }
}

/** The time of the first task: `trigger_at`, or without it the first time of the series. */
function timeOf(sent: TaskBody['trigger_at'], { repeat, timezone }: Pick<TaskBody, 'repeat' | 'timezone'>, now: number): Parsed<number> {
  if (repeat === undefined) {
    const problem = timezone === undefined ? undefined : explainTimezone(timezone)
    if (problem) return { ok: false, problem }
    if (sent === undefined) return refuse('/trigger_at', `trigger_at is required: it must be ${taskSchema.properties.trigger_at.expects}`)
    return parseTriggerTime(sent, { now, timezone })
  }
  const recurrence = parseRecurrence(repeat, timezone)
  if (!recurrence.ok) return recurrence
  if (sent !== undefined) return parseTriggerTime(sent, { now, timezone })
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
