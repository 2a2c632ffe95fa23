/** Builds claimed tasks of which a test states only what matters. */
import { pendingTask } from '../../src/domain/task/task.ts'
import type { Task, TaskDefinition } from '../../src/domain/task/task.ts'
import { aTask, MINUTE } from '../support/a-task.ts'

type RunningFields = Partial<Omit<Task, 'definition'>> & { readonly definition?: Partial<TaskDefinition> }

/** The first attempt of a task that is due at `MINUTE`, claimed by `node-1` one second later. */
export function aRunningTask(fields: RunningFields = {}): Task {
  const claimedAt = MINUTE * 1000 + 1000
  const stored = aTask({ definition: fields.definition ?? {} })
  return {
    ...pendingTask(stored, { created: MINUTE * 1000 - 3_600_000, now: claimedAt }),
    state: 'running',
    attempts: 1,
    claimedBy: 'node-1',
    leaseUntil: claimedAt + 60_000,
    ...fields,
    definition: stored.definition,
  }
}
