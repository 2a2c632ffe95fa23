/** Checks a task that a client sent, and turns it into the task that is stored. */
import taskSchema from '../../schema/api/task.json' with { type: 'json' }
import { problemsIn, refuse, refuseAll, type Parsed } from '../domain/errors.ts'
import { newTask, type NewTask, type TaskDefinition } from '../domain/task/task.ts'
import { parseTaskKey, parseTaskName, type TaskKey } from '../domain/task/task-key.ts'
import { nextOccurrence, parseRecurrence } from '../domain/time/recurrence.ts'
import { explainTimezone } from '../domain/time/time-zone.ts'
import { parseTriggerTime } from '../domain/time/trigger-time.ts'
import type { TaskBody } from './bodies.ts'
import { checkCall } from './call-rules.ts'
import { storedPayloads } from './json-text.ts'
import { SHOWN_MEMBERS, type WireTask } from './present-task.ts'
import { SENT_BACK, checkSentBack, keepSecrets, letPass, type SentBack, type Stored } from './put-back.ts'
import { checkTemplates } from './template-rules.ts'
import { compileCheck, findDeep, findMisplaced, show } from './validate.ts'

export const TASK_EXAMPLE = '{"trigger_at":"+6h","callback":"http://example.com/run"}'

/** They are judged together. */
const TIMES = ['trigger_at', 'repeat', 'timezone']

export type SentTask = TaskBody & SentBack
export type StoredTask = Stored<WireTask, TaskDefinition>

/** The shape of a task. Its name, its time and the call itself are checked by `taskOf`. */
export const checkTask = letPass(
  compileCheck<TaskBody>(taskSchema, 'body', {
    before: (body) => [...findDeep(body), ...findMisplaced(body, 'task')],
    after: (fields, told, now) => [...(TIMES.some((name) => told.has(name)) ? [] : problemsIn(timeOf(fields, now))), ...checkCall(fields)],
  }),
  SHOWN_MEMBERS,
)

/**
 * @param name the task's name from the path; without it the body must hold one
 * @param now epoch ms
 * @param stored the task that the client may have read: what is equal to it is let pass
 */
export function taskOf(name: string | undefined, sent: SentTask, now: number, stored?: StoredTask): Parsed<NewTask> {
  const { task_name, trigger_at: _, unique, [SENT_BACK]: _sentBack, ...fields } = sent
  const parsedName = nameOf(name, task_name)
  const triggerAt = timeOf(sent, now, stored?.shown.trigger_at)
  if (fields.headers !== undefined) fields.headers = keepSecrets(fields.headers, stored)
  const inCall = [...checkCall(fields), ...checkTemplates({ error_payload: fields.error_payload })]
  const problems = [...problemsIn(parsedName), ...problemsIn(triggerAt), ...checkSentBack(sent, stored?.shown), ...inCall]
  if (!parsedName.ok || !triggerAt.ok || problems.length > 0) return refuseAll(problems)
  if (fields.callback_method !== undefined) fields.callback_method = fields.callback_method.toUpperCase()
  // The types differ only in the case of the method, which is right now.
  const definition = { ...fields, ...storedPayloads(fields) } as TaskDefinition
  const task = newTask({ name: parsedName.value, triggerAt: triggerAt.value }, definition, now)
  return { ok: true, value: unique === undefined ? task : { ...task, unique } }
}

/** The key of the stored task that a body means; undefined where it means none. */
export function sentKey(fromPath: string | undefined, sent: SentTask, now: number): TaskKey | undefined {
  const { task_name, trigger_at, [SENT_BACK]: shown = {} } = sent
  const name = nameOf(fromPath, task_name)
  if (!name.ok) return undefined
  // A minute that has come is no time for a new task.
  const key = parseTaskKey(String(shown['key']))
  if (key.ok && key.value.name === name.value && String(key.value.triggerAt) === String(trigger_at)) return key.value
  const triggerAt = timeOf(sent, now)
  return triggerAt.ok ? { name: name.value, triggerAt: triggerAt.value } : undefined
}

/** The time of the first task: `trigger_at`, or without it the first time of the series. @param stored Unix seconds, which are let pass */
function timeOf({ trigger_at: sent, repeat, timezone }: TaskBody, now: number, stored?: string): Parsed<number> {
  const problem = timezone === undefined ? undefined : explainTimezone(timezone)
  if (problem) return { ok: false, problem }
  const given = sent === undefined ? undefined : parseTime(sent, stored, { now, timezone })
  if (repeat === undefined)
    return given ?? refuse('/trigger_at', `trigger_at is required: it must be ${taskSchema.properties.trigger_at.expects}`)
  const recurrence = parseRecurrence(repeat, timezone)
  if (!recurrence.ok) return { ...recurrence, others: given === undefined ? [] : problemsIn(given) }
  if (given !== undefined) return given
  const first = nextOccurrence(recurrence.value, Math.floor(now / 1000))
  return first === undefined ? refuse('/repeat', `repeat must come true within ten years; got ${show(repeat)}`) : { ok: true, value: first }
}

function parseTime(sent: string | number, stored: string | undefined, options: Parameters<typeof parseTriggerTime>[1]): Parsed<number> {
  return String(sent) === stored ? { ok: true, value: Number(stored) } : parseTriggerTime(sent, options)
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
