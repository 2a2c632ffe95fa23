/** Reads the last part of a path, which the router has percent-decoded. */
import type { Request } from 'express'
import { refuse, valueOrThrow, type Parsed } from '../../domain/errors.ts'
import { parseTaskKey, parseTaskName, type TaskKey } from '../../domain/task/task-key.ts'

/** The tasks that a path means: one, those of a name, or all. */
export type Target = Partial<TaskKey>
/** A target without the meaning of all tasks. */
export type NamedTarget = Target & Pick<TaskKey, 'name'>

/** The meanings of the last part of a path, and their values. */
export interface Targets {
  readonly none: undefined
  /** the name of a task */
  readonly name: string
  /** the key of a task, or a name that one task alone has; `keyOf` finds its key */
  readonly entry: NamedTarget
  /** the name of a handler: a task's name, or a beginning of names and an asterisk */
  readonly handler: string
  /** a key, a name, or nothing for all tasks */
  readonly tasks: Target
}

const PARSERS: { readonly [K in keyof Targets]: (text: string) => Parsed<Targets[K]> } = {
  none: () => ({ ok: true, value: undefined }),
  name: parseTaskName,
  entry: parseEntry,
  handler: parseHandlerName,
  tasks: parseTasks,
}

/** @throws CallmeError `bad_request` where the last part of the path has another meaning */
export function readTarget<K extends keyof Targets>(kind: K, req: Request): Targets[K] {
  const part = req.params['target']
  return valueOrThrow(PARSERS[kind](typeof part === 'string' ? part : ''))
}

/** The same characters are allowed as in a task's name. */
export function parseHandlerName(text: string): Parsed<string> {
  const parsed = parseTaskName(text)
  return parsed.ok ? parsed : refuse('/name', parsed.problem.detail.replace('task_name', "the handler's name"))
}

function parseTasks(text: string): Parsed<Target> {
  return text === '' ? { ok: true, value: {} } : parseEntry(text)
}

function parseEntry(text: string): Parsed<NamedTarget> {
  if (text.includes('@')) return parseTaskKey(text)
  const name = parseTaskName(text)
  return name.ok ? { ok: true, value: { name: name.value } } : name
}

/** Whether a path means one task. */
export function isKey(target: Target): target is TaskKey {
  return target.name !== undefined && target.triggerAt !== undefined
}

/** A target as a sentence calls it, without an article. */
export function describeTarget(target: Target): string {
  if (target.name === undefined) return 'task'
  return target.triggerAt === undefined ? `task "${target.name}"` : `entry "${target.name}@${target.triggerAt}"`
}
