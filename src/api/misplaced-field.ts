/** Fields that only a task has, sent for a handler, and the other way round: the nearest name among those that are known would mislead. */
import handlerSchema from '../../schema/api/handler.json' with { type: 'json' }
import taskSchema from '../../schema/api/task.json' with { type: 'json' }
import type { Problem } from '../domain/errors.ts'

const HANDLER_FIELDS = Object.keys(handlerSchema.properties)
const TASK_FIELDS = Object.keys(taskSchema.properties)

const MISPLACED = {
  // A task has a name too, which is called otherwise.
  task: HANDLER_FIELDS.filter((field) => field !== 'name' && !TASK_FIELDS.includes(field)),
  handler: TASK_FIELDS.filter((field) => !HANDLER_FIELDS.includes(field)),
} as const

const RIGHT_PLACE = {
  task: 'belongs to the handler of a name, not to a task; send it with PUT /handler/<name>',
  handler: 'belongs to a task, not to the handler of a name; send it with PUT /task/<name>',
} as const

/** @param sentFor what the body is to define */
export function findMisplaced(body: unknown, sentFor: 'task' | 'handler'): Problem | undefined {
  if (typeof body !== 'object' || body === null) return undefined
  const field = MISPLACED[sentFor].find((name) => Object.hasOwn(body, name))
  return field === undefined ? undefined : { pointer: `/${field}`, detail: `${field} ${RIGHT_PLACE[sentFor]}` }
}
