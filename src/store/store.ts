/**
 * The seam to durable storage: verbs of the domain, each atomic, and durable when its promise resolves. Times are epoch milliseconds,
 * `triggerAt` is Unix seconds. A store that cannot answer rejects with `CallmeError('store_unavailable')`. It has changed nothing then,
 * unless a database has lost its answer for good: in that case nobody knows.
 */
import type { Handler, HandlerDefinition } from '../domain/task/handler.ts'
import type { AttemptReport } from '../domain/attempt/attempt-report.ts'
import type { Attempt } from '../domain/task/attempt.ts'
import type { NewTask, Task, TaskState } from '../domain/task/task.ts'
import type { EditResult, PutResult, Revise } from '../domain/task/client-write.ts'
import type { ChangesPage } from '../domain/task/task-change.ts'
import type { TaskKey } from '../domain/task/task-key.ts'
import type { KeySelection, Ledger } from './ledger.ts'

export type Store = TaskStore & HandlerStore & ChangeLog & Ledger

/** Tasks. Error callbacks are claimed, recorded, rescued and pruned as tasks are. No other verb shows them. */
export interface TaskStore {
  /**
   * Stores each task as `pending`, or replaces the one that has its key; all in one commit. Results are in the order of `tasks`. A stored
   * task that is `running` stays as it is, and with `ifAbsent` every stored task does. A task without a callback needs a handler that has
   * one or says `pull`; without such a handler nothing is stored. A name has one series: a task with `repeat` takes the place of the task
   * that waits in it, whatever its minute. A task with `unique` is not stored beside one that it says. Both hold over all nodes.
   */
  put(tasks: readonly NewTask[], options: { now: number; ifAbsent?: boolean }): Promise<PutResult[]>

  /** With `own` its definition holds the task's own values alone, without those of its handler. */
  get(key: TaskKey, options?: { own?: boolean }): Promise<Task | undefined>

  /**
   * Stores what `revise` makes of a waiting task in its place: a fresh run, in another minute where `triggerAt` says so. With `run` a task
   * that has ended is taken too. The last attempt before keeps the definition of its run. Nothing comes between the task that `revise` is
   * given and the change. It may be called again, so it has no effects of its own. No task of the name gives way.
   */
  edit(key: TaskKey, revise: Revise, options: { now: number; run: boolean }): Promise<EditResult>

  /** The attempts of a task over all its runs, oldest first; empty for an unknown key. */
  history(key: TaskKey): Promise<Attempt[]>

  /** One page in the order of `triggerAt`, then name (bytes of UTF-8). `more` says that tasks follow the last one. */
  list(selection: Selection, page: { after?: TaskKey; limit: number }): Promise<{ tasks: Task[]; more: boolean }>

  /**
   * Moves due tasks from waiting to `running` for one node: attempt + 1, lease set. The oldest come first within a lane, and the lanes
   * with capacity share evenly. No task is handed out whose deadline has passed, or whose handler is paused, pulled by workers, or at its
   * `concurrency` or `rate`. A task that repeats is followed by the next one of its series.
   */
  claimDue(claim: Claim): Promise<ClaimResult>

  /**
   * Writes the reports of claimed tasks, guarded by run id, attempt and `running`: the report of a lost lease changes nothing. Answers, in
   * order, whether each was written. A task that ends badly gets its error callback. A task that was run to be removed goes once it
   * succeeded.
   */
  record(reports: readonly AttemptReport[]): Promise<boolean[]>

  /**
   * Ends at most `limit` waiting tasks whose deadline has passed, and returns them as they now are. A task that repeats is followed by the
   * next one of its series, and a task with an error callback gets it. `more` says that others may be out of time.
   */
  expire(options: { now: number; limit: number }): Promise<{ tasks: Task[]; more: boolean }>

  /**
   * Hands due tasks of a handler to a worker. They are `running`, and the worker keeps them by its lease until it acknowledges them. Each
   * goes to one worker. Where nothing was handed out, `nextDue` says when to ask again at the latest. It is undefined where only a change
   * of the handler or of its tasks can help. `not_pulled` where no handler has this very name, or it does not say `pull`.
   */
  pull(handlerName: string, worker: { now: number; node: string; leaseUntil: number; limit: number }): Promise<ClaimResult | 'not_pulled'>

  /** Ends or prolongs a running task as its receiver or worker asks. An acknowledgement of another attempt changes nothing. */
  acknowledge(ack: Acknowledgement): Promise<AckResult>

  /** Extends the leases of claimed tasks. A task whose claim was lost stays as it is. */
  renew(claims: readonly Task[], options: { leaseUntil: number }): Promise<void>

  /**
   * Ends the claims of at most `limit` running tasks whose lease is over, be it a node's, a worker's or that of an acknowledgement. With
   * `onlyNode` it takes all tasks whose call another node has under way: a store that one process alone may open knows that the others are
   * gone. With `nodeName` it takes those alone whose process had that name and shows itself no more. Records the attempts, and returns the
   * tasks as they now are. A `limit` of 0 shows that the store can do it.
   */
  rescue(options: { now: number; onlyNode?: string; nodeName?: string; limit: number }): Promise<Task[]>

  /** Shows other processes that this node lives, until the store is closed. @param node its id: `<name>#<process>` */
  announce(node: string): Promise<void>

  /**
   * Gives matching tasks a new time. A final task stays, marked with `rescheduledTo`, and a `pending` copy is made. A waiting task moves. A
   * minute that is taken is passed over for the next free one. Takes `failed` and `skipped` tasks that were not yet rescheduled, or with
   * `all` every task that is not running. One batch holds at most `limit`; `next` is where the following batch starts. With `dryRun` nothing
   * changes.
   */
  reschedule(request: RescheduleRequest): Promise<{ tasks: Task[]; next?: RescheduleCursor }>

  /** Makes a task due now, with its window starting now. A final task starts a new run, but not with `removeAfter`. */
  run(key: TaskKey, options: { now: number; removeAfter?: boolean }): Promise<Task | 'running' | 'final' | 'unknown'>

  /**
   * Removes at most `limit` matching tasks that are not running, oldest first, and answers how many. Many are removed in several commits:
   * tasks of earlier commits stay removed when the store fails on the way. With `continueSeries` a repeating task that none follows yet is
   * followed by the next one of its series.
   */
  remove(selection: Selection, options: { now: number; limit: number; continueSeries?: boolean }): Promise<number>

  /**
   * Removes at most `limit` final tasks that were last changed before `before`, oldest first, and answers how many. A store that drops whole
   * days may take more at once. It may leave the last day with many tasks until all of them are old.
   */
  prune(options: { before: number; limit: number }): Promise<number>

  /** How many tasks there are in each state. Writes one row on the way, as the proof that the store can be written. */
  counts(): Promise<Record<TaskState, number>>

  /**
   * The clock that all nodes of the store go by, epoch ms; undefined where the store serves one node and has no clock of its own. The answer
   * waits for nothing but the store, so the time is as old as half the round trip.
   */
  time(): Promise<number | undefined>

  /** Calls `listener` with the time (epoch ms) from when on a task of another node may be due. @returns a function that ends this */
  onDue(listener: (dueAt: number) => void): () => void

  /** Does the chores of the store itself. Nobody can see their effects. */
  tidy(): Promise<void>

  /** Waits for the writes under way, then closes the store. */
  close(): Promise<void>
}

/**
 * Handlers, each for one name or for all names that match its own as a pattern. The handler of its very name applies to a task, else that of
 * the longest pattern. Its values hold for waiting tasks from then on. A changed URL touches none of their rows.
 */
export interface HandlerStore {
  /**
   * Stores a handler, or replaces the one of this very name. Answers `needed`, with nothing changed, where tasks that have not ended would
   * lose the callback, or the `pull`, that they need; `force` does it all the same. A new handler, or another `max_delay`, backfills the
   * waiting tasks in several commits before this resolves. The handler's values hold from the first of these commits.
   */
  putHandler(
    name: string,
    definition: HandlerDefinition,
    options: { now: number; force: boolean },
  ): Promise<{ readonly status: 'created' | 'replaced'; readonly handler: Handler } | 'needed'>

  /** The handler of this very name, be it a pattern. Another one may apply to tasks of the name. */
  getHandler(name: string): Promise<Handler | undefined>

  /** One page in the order of names (bytes of UTF-8). `more` says that handlers follow the last one. */
  listHandlers(page: { after?: string; limit: number }): Promise<{ handlers: Handler[]; more: boolean }>

  /** Answers `needed`, with nothing changed, where tasks that have not ended have no callback but this handler's; `force` does it all the same. */
  removeHandler(name: string, options: { force: boolean }): Promise<'removed' | 'needed' | 'unknown'>
}

/** The changes of tasks, in the order in which they were stored, kept for at least the last 10 000. */
export interface ChangeLog {
  /**
   * Changes after an id, oldest first: about `limit` of them, and all that were stored together with the last one.
   * `first` is the oldest id that is kept, `last` the newest id; both are 0 where there is none. `lost` has the changes of this page that
   * cannot be read; absent where there are none.
   */
  changes(page: { after: number; limit: number }): Promise<ChangesPage>

  /** Calls `listener` after each commit of any node with changes or a handler, and now and then for nothing. @returns a function that ends this */
  onChange(listener: () => void): () => void
}

export interface Acknowledgement {
  readonly key: TaskKey
  /** the attempt that is meant, 1-based within its run */
  readonly attempt: number
  /** the run that is meant; the present one where absent */
  readonly runId?: string
  readonly status: 'successful' | 'failed' | 'running'
  /** whether a failure may be tried again */
  readonly retryable: boolean
  /** text for the record, or null */
  readonly detail: string | null
  readonly now: number
  /** in [0, 1), for the jitter of a retry */
  readonly random: number
}

/** `unexpected`: the call of such a task ends with its answer, and nobody has to acknowledge it. */
export type AckResult =
  | { readonly status: 'acknowledged'; readonly task: Task }
  | { readonly status: 'not_running' | 'other_attempt' | 'other_run' | 'unexpected'; readonly task: Task }
  | { readonly status: 'unknown' }

/** Which tasks are meant; every filter that is given must hold. */
export interface Selection extends KeySelection {
  readonly states?: readonly TaskState[]
}

export interface Claim {
  readonly now: number
  readonly node: string
  readonly leaseUntil: number
  /** how many tasks at the most */
  readonly limit: number
  /** the hosts that the node has called lately */
  readonly hosts: Pick<ReadonlyMap<string, HostCapacity>, 'get'>
  /** how many tasks of each host that is not in `hosts` */
  readonly capacityOfNewHost: number
  /** how many tasks of all hosts together that are new or silent */
  readonly unprovenLimit: number
  /** how many tasks of all silent hosts together */
  readonly silentLimit: number
}

export interface HostCapacity {
  /** how many more tasks of the host may be claimed */
  readonly free: number
  /** whether the host answers its calls, leaves them unanswered, or has not shown yet which */
  readonly state: 'answers' | 'new' | 'silent'
  /** how many of its calls are open: hosts with fewer come first where slots are few */
  readonly inflight: number
}

export interface ClaimResult {
  readonly tasks: Task[]
  /**
   * a time no later than the earliest `dueAt` after `now` in the lanes that still have capacity within every limit of the claim; undefined
   * where nothing waits there. For the other lanes the end of a call comes first.
   */
  readonly nextDue: number | undefined
}

export interface RescheduleRequest {
  readonly selection: Selection
  readonly all: boolean
  /** Unix seconds */
  readonly triggerAt: number
  readonly now: number
  readonly dryRun: boolean
  readonly after?: RescheduleCursor
  readonly limit: number
}

/** Where a batch of a reschedule starts. Only the store makes and reads it. */
export interface RescheduleCursor {
  readonly isFirstWalk: boolean
  readonly key?: TaskKey
  readonly passed: ReadonlyMap<string, number>
}
