/** The writes of the store as verbs of a group commit: calls of one verb that stand together are written together. */
import type { HandlerDefinition } from '../../domain/task/handler.ts'
import type { AttemptReport } from '../../domain/attempt/attempt-report.ts'
import type { Task } from '../../domain/task/task.ts'
import type { TaskKey } from '../../domain/task/task-key.ts'
import type { Acknowledgement, Claim, RescheduleRequest, Selection } from '../store.ts'
import { putHandler, removeHandler, backfillRows } from './handlers/change-handler.ts'
import { claimDue } from './claims/claim-due.ts'
import type { Verb } from './commit/group-writer.ts'
import { acknowledge, expireRows, recordReports, renewLeases, rescueRows } from './results/outcomes.ts'
import { pruneDay, pruneRows } from './retention/prune.ts'
import { pullDue } from './claims/pull.ts'
import type { Worker } from './claims/pull.ts'
import { putTasks } from './tasks/put.ts'
import type { PutInput } from './tasks/put.ts'
import { removeTasks } from './tasks/remove.ts'
import { rescheduleBatch } from './tasks/reschedule.ts'
import { runTask } from './tasks/run.ts'
import type { Session } from './session.ts'
import type { Transaction } from './commit/transaction.ts'

interface Removal {
  readonly selection: Selection
  readonly after: TaskKey | undefined
  readonly options: { now: number; limit: number; continueSeries?: boolean }
}

export type Verbs = ReturnType<typeof verbsOf>

export function verbsOf(session: Session) {
  return {
    put: weighed(
      (transaction, inputs: readonly PutInput[]) => putTasks(session, transaction, inputs),
      ({ tasks }) => tasks.length,
    ),
    record: weighed(
      (transaction, inputs: readonly (readonly AttemptReport[])[]) => recordReports(transaction, inputs),
      ({ length }) => length,
    ),
    renew: (transaction: Transaction, inputs: readonly { claims: readonly Task[]; leaseUntil: number }[]) =>
      renewLeases(transaction, inputs),
    claimDue: oneByOne((transaction, claim: Claim) => claimDue(session, transaction, claim)),
    expire: oneByOne((transaction, search: Parameters<typeof expireRows>[2]) => expireRows(session, transaction, search)),
    pull: oneByOne((transaction, { handlerName, worker }: { handlerName: string; worker: Worker }) =>
      pullDue(session, transaction, handlerName, worker),
    ),
    acknowledge: oneByOne((transaction, ack: Acknowledgement) => acknowledge(session, transaction, ack)),
    rescue: oneByOne((transaction, which: Parameters<typeof rescueRows>[2]) => rescueRows(session, transaction, which)),
    reschedule: oneByOne((transaction, request: RescheduleRequest) => rescheduleBatch(session, transaction, request)),
    run: oneByOne((transaction, request: Parameters<typeof runTask>[2]) => runTask(session, transaction, request)),
    remove: oneByOne((transaction, { selection, after, options }: Removal) => removeTasks(session, transaction, selection, after, options)),
    pruneDay: alone((transaction, request: Parameters<typeof pruneDay>[1]) => pruneDay(transaction, request)),
    pruneRows: oneByOne((transaction, request: Parameters<typeof pruneRows>[1]) => pruneRows(transaction, request)),
    putHandler: alone((transaction, change: { name: string; definition: HandlerDefinition; now: number; force: boolean }) =>
      putHandler(session, transaction, change),
    ),
    removeHandler: alone((transaction, change: { name: string; force: boolean }) => removeHandler(session, transaction, change)),
    settle: oneByOne((transaction, _: undefined) => backfillRows(session, transaction)),
  }
}

function oneByOne<I, O>(work: (transaction: Transaction, input: I) => Promise<O>): Verb<I, O> {
  return async (transaction, inputs) => {
    const answers: O[] = []
    for (const input of inputs) answers.push(await work(transaction, input))
    return answers
  }
}

/** What comes after it must know what it has changed, or must not share what it locks. */
function alone<I, O>(work: (transaction: Transaction, input: I) => Promise<O>): Verb<I, O> {
  return Object.assign(oneByOne(work), { isAlone: true as const })
}

function weighed<I, O>(verb: (transaction: Transaction, inputs: readonly I[]) => Promise<O[]>, weigh: (input: I) => number): Verb<I, O> {
  return Object.assign(verb, { weigh })
}
