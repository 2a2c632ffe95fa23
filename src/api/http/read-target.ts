/** Reads the last part of a path, which the router has percent-decoded: a task's name, its key, or either. */
import type { Request } from 'express'
import type { Parsed } from '../../domain/errors.ts'
import { parseTaskKey, parseTaskName } from '../../domain/task/task-key.ts'
import type { TaskKey } from '../../domain/task/task-key.ts'
import { refuse, valueOrThrow } from '../../domain/errors.ts'

/** Which entries a path means: one, those of a name, or all. */
export type Target = Partial<TaskKey>

/** @throws CallmeError `bad_request` on what is no name, a key included */
export function readName(req: Request): string {
  return valueOrThrow(parseTaskName(lastPart(req)))
}

/** @throws CallmeError `bad_request` on what is no name of a handler, a key included */
export function readHandlerName(req: Request): string {
  return valueOrThrow(parseHandlerName(lastPart(req)))
}

/** A handler's name is one of tasks, or a beginning of names and an asterisk: the same characters are allowed. */
export function parseHandlerName(text: string): Parsed<string> {
  const parsed = parseTaskName(text)
  return parsed.ok ? parsed : refuse('/name', parsed.problem.detail.replace('task_name', "the handler's name"))
}

/** @throws CallmeError `bad_request` on what is no key */
export function readKey(req: Request): TaskKey {
  return valueOrThrow(parseTaskKey(lastPart(req)))
}

/** @throws CallmeError `bad_request` on what is neither a key nor a name */
export function readTarget(req: Request): Target {
  const part = lastPart(req)
  if (part === '') return {}
  return part.includes('@') ? readKey(req) : { name: readName(req) }
}

/** As a sentence calls it, without an article. */
export function describeTarget(target: Target): string {
  if (target.name === undefined) return 'task'
  return target.triggerAt === undefined ? `task "${target.name}"` : `entry "${target.name}@${target.triggerAt}"`
}

function lastPart(req: Request): string {
  const part = req.params['target']
  return typeof part === 'string' ? part : ''
}
