/** Builds claimed tasks of which a test states only what matters. */
import type { Task, TaskDefinition } from '../../src/domain/task.ts'
import { aTask, MINUTE } from '../support/a-task.ts'

type RunningFields = Partial<Omit<Task, 'definition'>> & { readonly definition?: Partial<TaskDefinition> }

/** The first attempt of a task that is due at `MINUTE`, claimed by `node-1` one second later. */
export function aRunningTask(fields: RunningFields = {}): Task {
  const claimedAt = MINUTE * 1000 + 1000
  return {
    ...aTask({ definition: fields.definition ?? {} }),
    state: 'running',
    attempts: 1,
    lost: 0,
    inAdvance: false,
    claimedBy: 'node-1',
    leaseUntil: claimedAt + 60_000,
    executedAt: null,
    responseStatus: null,
    responseBody: null,
    error: null,
    created: MINUTE * 1000 - 3_600_000,
    updated: claimedAt,
    rescheduledTo: null,
    rescheduledFrom: null,
    ...fields,
    ...{ definition: { callback: 'http://receiver.test/run', ...fields.definition } },
  }
}
