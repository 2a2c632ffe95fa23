/** Builds tasks of which a test states only what matters. */
import { newTask } from '../../src/domain/task/task.ts'
import type { NewTask, TaskDefinition } from '../../src/domain/task/task.ts'

/** 2027-01-15T08:00:00Z, a Unix time on a whole minute: the time around which tests happen. */
export const MINUTE = 1_800_000_000

type TaskFields = Partial<Omit<NewTask, 'definition'>> & { readonly definition?: Partial<TaskDefinition> }

/** A task named `a-task` that is due at `MINUTE`; times not given follow from `triggerAt` and the definition. */
export function aTask(fields: TaskFields = {}): NewTask {
  const definition = { callback: 'http://receiver.test/run', ...fields.definition }
  const key = { name: fields.name ?? 'a-task', triggerAt: fields.triggerAt ?? MINUTE }
  return { ...newTask(key, definition, 0), ...fields, definition }
}

/** The same without a callback of its own: its handler has one, or workers pull it. */
export function aTaskWithoutCallback({ name = 'a-task', triggerAt = MINUTE, definition = {}, ...fields }: TaskFields = {}): NewTask {
  return { ...newTask({ name, triggerAt }, definition, 0), ...fields }
}
