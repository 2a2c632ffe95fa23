/** Applies a JSON merge patch (RFC 7396) to a stored task. Values that are equal to the shown ones change nothing. */
import taskSchema from '../../schema/api/task.json' with { type: 'json' }
import { refuse, type Parsed } from '../domain/errors.ts'
import { newTask, type NewTask, type Task, type TaskDefinition } from '../domain/task/task.ts'
import { isEqualJson, mergeJson, shownDefinition, writeJson } from './json-text.ts'
import { checkTask, taskOf, type StoredTask } from './parse-task.ts'
import { compileCheck, findDeep, show } from './validate.ts'

export const PATCH_EXAMPLE = '{"trigger_at":"+6h","retry":3}'
const MAX_PAYLOAD_BYTES = 2 ** 20

/** The fields of a task that change. Null takes the task's own value away. */
export type TaskPatch = Readonly<Record<string, unknown>>
const SCHEMA = { type: 'object', expects: `a JSON object with the fields that change, such as ${PATCH_EXAMPLE}` }

/** The shape of a patch. What it makes of a task is checked as every task is. */
export const checkPatch = compileCheck<TaskPatch>(SCHEMA, 'body', { before: findDeep })

interface Patching {
  /** epoch ms */
  readonly now: number
  /** whether the task is due now */
  readonly run: boolean
}

/** @param task as it reads back @returns the task that takes its place; undefined where nothing changes */
export function patchedTask(task: Task, stored: StoredTask, patch: TaskPatch, { now, run }: Patching): Parsed<NewTask | undefined> {
  if (task.unreadable !== undefined) return refuse('', `${task.unreadable}; store the task anew with PUT`)
  if (patch['unique'] !== undefined && patch['unique'] !== null) {
    return refuse('/unique', `unique must be absent: it says whether a task is stored at all; got ${show(patch['unique'])}`)
  }
  const merged = merge(stored, patch)
  const checked = checkTask.at(merged, now)
  if (!checked.ok) return checked
  if (Buffer.byteLength(writeJson(checked.value.payload ?? '')) > MAX_PAYLOAD_BYTES) {
    return refuse('/payload', 'payload must be at most 1 MiB with what it holds already; store the task anew with PUT')
  }
  const parsed = taskOf(task.name, checked.value, now, stored)
  if (!parsed.ok) return parsed
  const { value: next } = parsed
  const keepsMinute = next.triggerAt === task.triggerAt
  const keepsTime = merged['trigger_at'] === stored.shown.trigger_at || (keepsMinute && next.dueAt === task.dueAt)
  if (run && !keepsMinute)
    return refuse('/trigger_at', `trigger_at must be absent with run=true, which runs it now; got ${show(patch['trigger_at'])}`)
  if (!run && keepsTime && isEqualJson(next.definition, stored.own)) return { ok: true, value: undefined }
  const atOnce = run || (keepsTime && task.inAdvance)
  return { ok: true, value: atOnce ? newTask(task, next.definition, now, true) : next }
}

/** The body that would store the task as the patch leaves it. */
function merge({ own, shown }: StoredTask, patch: TaskPatch): Readonly<Record<string, unknown>> {
  const body = { ...shownDefinition(own), trigger_at: shown.trigger_at }
  const merged = new Map<string, unknown>(Object.entries(body))
  for (const [name, value] of Object.entries(patch)) {
    if (isShown(shown, name, value)) continue
    if (value === null && Object.hasOwn(taskSchema.properties, name)) merged.delete(name)
    else if (name === 'headers') merged.set(name, mergeHeaders(own.headers, value, shown.headers))
    else if (name === 'payload' || name === 'error_payload') merged.set(name, mergeJson(merged.get(name), value))
    else merged.set(name, value)
  }
  return Object.fromEntries(merged)
}

/** A payload is equal by its bytes, because a reader of JSON would change its numbers. */
function isShown(shown: StoredTask['shown'], name: string, value: unknown): boolean {
  if (name === 'payload') return writeJson(value) === writeJson(shown.payload)
  return Object.hasOwn(shown, name) && isEqualJson(value, shown[name as keyof typeof shown])
}

/** A name is the same in whatever case. */
function mergeHeaders(own: TaskDefinition['headers'] = {}, patch: unknown, shown: Readonly<Record<string, unknown>>): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch
  const merged = new Map<string, unknown>(Object.entries(own))
  for (const [name, value] of Object.entries(patch)) {
    if (Object.hasOwn(shown, name) && shown[name] === value) continue
    for (const known of merged.keys()) if (known.toLowerCase() === name.toLowerCase()) merged.delete(known)
    if (value !== null) merged.set(name, value)
  }
  return Object.fromEntries(merged)
}
