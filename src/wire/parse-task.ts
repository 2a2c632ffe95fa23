/** From what a client sent to the row that is stored: every rule that a task definition must keep. */
import taskSchema from '../../schema/api/task.json' with { type: 'json' }
import type { Parsed, Problem } from '../domain/errors.ts'
import { newTask } from '../domain/task/task.ts'
import type { NewTask, TaskDefinition } from '../domain/task/task.ts'
import { parseTaskName } from '../domain/task/task-key.ts'
import { nextOccurrence, parseRecurrence } from '../domain/time/recurrence.ts'
import { parseTriggerTime } from '../domain/time/trigger-time.ts'
import type { TaskBody } from './bodies.ts'
import { refuse } from '../domain/errors.ts'
import { checkCall } from './call-rules.ts'
import { findMisplaced, compileCheck, escapePointer, show } from './validate.ts'

export const TASK_EXAMPLE = '{"trigger_at":"+6h","callback":"http://example.com/run"}'

const MAX_DEPTH = 100

const checkTaskBody = compileCheck<TaskBody>(taskSchema, 'body')

/**
 * @param name the task's name from the path; without it the body must hold one
 * @param now epoch ms
 */
export function parseTask(name: string | undefined, body: unknown, now: number): Parsed<NewTask> {
  const unfit = checkDepth(body) ?? findMisplaced(body, 'task')
  if (unfit) return { ok: false, problem: unfit }
  const checked = checkTaskBody(body)
  if (!checked.ok) return checked
  const { task_name, trigger_at, ...fields } = checked.value
  const parsedName = nameOf(name, task_name)
  if (!parsedName.ok) return parsedName
  const triggerAt = timeOf(trigger_at, fields, now)
  if (!triggerAt.ok) return triggerAt
  const problem = checkCall(fields)
  if (problem) return { ok: false, problem }
  if (fields.callback_method !== undefined) fields.callback_method = fields.callback_method.toUpperCase()
  // The schema and the line above have made it one: only the method's case and JSON's own value types are wider in TaskBody.
  return { ok: true, value: newTask({ name: parsedName.value, triggerAt: triggerAt.value }, fields as TaskDefinition, now) }
}

/** When the first entry is due: `trigger_at`, or without one the first time of the series. */
function timeOf(sent: TaskBody['trigger_at'], { repeat, timezone }: Pick<TaskBody, 'repeat' | 'timezone'>, now: number): Parsed<number> {
  if (repeat === undefined) {
    if (timezone !== undefined) return refuse('/timezone', `timezone is that of repeat, and there is no repeat; got ${show(timezone)}`)
    if (sent === undefined) return refuse('/trigger_at', `trigger_at is required: it must be ${taskSchema.properties.trigger_at.expects}`)
    return parseTriggerTime(sent, now)
  }
  const recurrence = parseRecurrence(repeat, timezone)
  if (!recurrence.ok) return recurrence
  if (sent !== undefined) return parseTriggerTime(sent, now)
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

function checkDepth(body: unknown): Problem | undefined {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return undefined
  for (const [field, value] of Object.entries(body)) {
    if (isDeeper(value, MAX_DEPTH)) {
      return {
        pointer: `/${escapePointer(field)}`,
        detail: `${field.slice(0, 60)} must be nested at most ${MAX_DEPTH} levels deep; it is deeper`,
      }
    }
  }
  return undefined
}

function isDeeper(value: unknown, limit: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return limit === 0 || Object.values(value).some((inner) => isDeeper(inner, limit - 1))
}
