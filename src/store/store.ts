/**
 * The seam to durable storage: verbs of the domain, each atomic, and durable when its promise resolves.
 * Times are epoch milliseconds, `triggerAt` is Unix seconds. A store that cannot answer rejects with
 * `CallmeError('store_unavailable')` and has then changed nothing, unless a database has lost its answer for good: then nobody knows.
 */
import type { Handler, HandlerDefinition } from '../domain/task/handler.ts'
import type { AttemptReport } from '../domain/attempt/attempt-report.ts'
import type { Attempt, NewTask, Task, TaskState } from '../domain/task/task.ts'
import type { TaskChange } from '../domain/task/task-change.ts'
import type { TaskKey } from '../domain/task/task-key.ts'
import type { KeySelection, Ledger } from './ledger.ts'

export type Store = TaskStore & HandlerStore & ChangeLog & Ledger

/** Tasks. Error callbacks are claimed, recorded, rescued and pruned as tasks are; no other verb shows them. */
export interface TaskStore {
  /**
   * Stores each task as `pending`, or replaces the entry that has its key; all in one commit. Results are in the order of `tasks`; an
   * entry that is `running` is left alone, and with `ifAbsent` so is any entry. Without a callback and a handler that does without
   * one, nothing is stored.
   */
  put(tasks: readonly NewTask[], options: { now: number; ifAbsent?: boolean }): Promise<PutResult[]>

  get(key: TaskKey): Promise<Task | undefined>

  /** The attempts of an entry over all its runs, oldest first; empty for an unknown key. */
  history(key: TaskKey): Promise<Attempt[]>

  /** One page in the order of `triggerAt`, then name (bytes of UTF-8). `more` says that entries follow the last one. */
  list(selection: Selection, page: { after?: TaskKey; limit: number }): Promise<{ tasks: Task[]; more: boolean }>

  /**
   * Moves due tasks from waiting to `running` for one node: attempt + 1, lease set. Oldest first within a lane, shared
   * evenly over the lanes that have room. Tasks whose deadline has passed are not handed out, nor those of a handler that is
   * paused, pulled by workers, or at its `concurrency` or `rate`. A task that repeats is followed by its next entry.
   */
  claimDue(claim: Claim): Promise<ClaimResult>

  /**
   * Writes what became of claimed tasks, guarded by run id, attempt and `running`: a result of a lost lease changes
   * nothing. Answers, in order, whether each was written. A task that ends badly gets its error callback, one that was run to be
   * removed and succeeded is removed.
   */
  record(outcomes: readonly AttemptReport[]): Promise<boolean[]>

  /**
   * Ends waiting tasks whose deadline has passed; at most `limit` of them, which are returned as they now are. One that repeats is
   * followed by its next entry, one with an error callback gets it. `more` says that others may be out of time.
   */
  expire(options: { now: number; limit: number }): Promise<{ tasks: Task[]; more: boolean }>

  /**
   * Hands due tasks of a handler to a worker: running, and kept by its lease until it acknowledges them. Each goes to one worker.
   * `nextDue` is when to ask again, at the latest, where nothing was handed out: undefined where only a change of the handler or of
   * its tasks can help. `not_pulled` where no handler has this very name, or it does not say `pull`.
   */
  pull(handlerName: string, worker: { now: number; node: string; leaseUntil: number; limit: number }): Promise<PullResult | 'not_pulled'>

  /** Ends or prolongs a running task in the words of whoever has it. One that does not have the right attempt changes nothing. */
  acknowledge(ack: Acknowledgement): Promise<AckResult>

  /** Extends the leases of claimed tasks; those whose claim was lost stay as they are. */
  renew(claims: readonly Task[], options: { leaseUntil: number }): Promise<void>

  /**
   * Settles running tasks whose lease is over, be it a node's, a worker's, or that of an acknowledgement; or, with `onlyNode`, all
   * whose call another node has under way (a store that only one process may open knows that the others are gone). At most `limit`,
   * returned as they now are; the attempt is recorded.
   */
  rescue(options: { now: number; onlyNode?: string; limit: number }): Promise<Task[]>

  /**
   * Gives matching entries a new time. Final ones stay, marked with `rescheduledTo`, and a `pending` copy is made;
   * waiting ones move. A minute that is taken is passed over for the next free one. Takes `failed` and `skipped`
   * entries not yet rescheduled, or with `all` every entry that is not running.
   * One batch of at most `limit`; `next` is where the following batch starts. With `dryRun` nothing is changed.
   */
  reschedule(request: RescheduleRequest): Promise<{ tasks: Task[]; next?: RescheduleCursor }>

  /** Makes an entry due now, with its window starting now; a final one as a new run, or, with `removeAfter`, not at all. */
  run(key: TaskKey, options: { now: number; removeAfter?: boolean }): Promise<Task | 'running' | 'final' | 'unknown'>

  /**
   * Removes matching entries that are not running, at most `limit`, oldest first, and answers how many. Many are removed in several
   * commits: when the store fails on the way, those before stay removed. With `continueSeries` an entry that repeats, and that no
   * entry follows yet, is followed by its next one.
   */
  remove(selection: Selection, options: { now: number; limit: number; continueSeries?: boolean }): Promise<number>

  /**
   * Removes final entries last changed before `before`, oldest first, at most `limit`, and answers how many. A store that drops what a
   * day has left as a whole may take more at once, and leave the last day on which there was much until all of it is old.
   */
  prune(options: { before: number; limit: number }): Promise<number>

  /** How many entries there are in each state; writes one row on the way, as the proof that the store can be written. */
  counts(): Promise<Record<TaskState, number>>

  /**
   * The clock that all nodes of the store go by, epoch ms; undefined where the store has none of its own, because it serves one node.
   * Comes without any wait but that for the store itself, so that half of it is how old the time is.
   */
  time(): Promise<number | undefined>

  /**
   * Tells `listener` from when on (epoch ms) something may be due that another node has stored.
   * @returns a function that ends this
   */
  onDue(listener: (dueAt: number) => void): () => void

  /** Does what the store itself needs done now and then; nothing of it can be seen. */
  tidy(): Promise<void>

  /** Waits for the writes under way, then lets go of the store. */
  close(): Promise<void>
}

/**
 * Handlers, each of one name or of all that match its own as a pattern. To a task applies the one of its very name, else that of the
 * longest pattern. What a handler says holds for waiting tasks from then on; a changed URL touches none of their rows.
 */
export interface HandlerStore {
  /**
   * Stores a handler, or replaces the one of this very name. `needed`, with nothing changed, where tasks that have not ended would lose
   * the callback, or the `pull`, that they need; `force` does it all the same. Where it is new, or its `max_delay` has changed, waiting
   * tasks are gone through in several commits before this resolves; what the handler says holds from the first of them.
   */
  putHandler(
    name: string,
    definition: HandlerDefinition,
    options: { now: number; force: boolean },
  ): Promise<{ readonly status: 'created' | 'replaced'; readonly handler: Handler } | 'needed'>

  /** The one of this very name, be it a pattern; not the one that applies to tasks of the name. */
  getHandler(name: string): Promise<Handler | undefined>

  /** One page in the order of names (bytes of UTF-8). `more` says that handlers follow the last one. */
  listHandlers(page: { after?: string; limit: number }): Promise<{ handlers: Handler[]; more: boolean }>

  /** `needed`, with nothing changed, where tasks that have not ended have no callback but this handler's; `force` does it all the same. */
  removeHandler(name: string, options: { force: boolean }): Promise<'removed' | 'needed' | 'unknown'>
}

/** The changes of tasks, in the order in which they were stored, kept for at least the last 10 000. */
export interface ChangeLog {
  /**
   * Changes after an id, oldest first, about `limit` of them: as many more as were stored together with the last one.
   * `first` is the oldest id that is kept, `last` the newest one that there is; both are 0 where there is none.
   */
  changes(page: { after: number; limit: number }): Promise<{ changes: TaskChange[]; first: number; last: number }>

  /**
   * Tells `listener` after each commit that holds changes or a handler, those of other nodes included; now and then for nothing.
   * @returns a function that ends this
   */
  onChange(listener: () => void): () => void
}

export type PutResult =
  { readonly status: 'created' | 'replaced'; readonly task: Task } | { readonly status: 'running' | 'exists' | 'no_callback' }

export interface PullResult {
  readonly tasks: Task[]
  readonly nextDue: number | undefined
}

export interface Acknowledgement {
  readonly key: TaskKey
  /** the attempt that it is about, 1-based within its run */
  readonly attempt: number
  /** the run that it is about; the present one where absent */
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

/** `unexpected`: the call of such a task ends with its answer, nobody has to acknowledge it. */
export type AckResult =
  | { readonly status: 'acknowledged'; readonly task: Task }
  | { readonly status: 'not_running' | 'other_attempt' | 'other_run' | 'unexpected'; readonly task: Task }
  | { readonly status: 'unknown' }

/** Which entries are meant; every filter that is given must hold. */
export interface Selection extends KeySelection {
  readonly states?: readonly TaskState[]
}

export interface Claim {
  readonly now: number
  readonly node: string
  readonly leaseUntil: number
  /** how many tasks at the most */
  readonly limit: number
  /** the hosts that the node has calls with, or an opinion of */
  readonly hosts: Pick<ReadonlyMap<string, HostCapacity>, 'get'>
  /** how many of each lane that is not in `lanes` */
  readonly capacityOfNewHost: number
  /** how many of all the lanes together that are not proven, new ones included */
  readonly unprovenLimit: number
}

export interface HostCapacity {
  /** how many more tasks of the lane may be claimed */
  readonly free: number
  /** whether the lane's host answered when it was last called */
  readonly isProven: boolean
  /** how many of its calls are under way: where slots are few, lanes with fewer come first */
  readonly inflight: number
}

export interface ClaimResult {
  readonly tasks: Task[]
  /**
   * a time no later than the earliest `dueAt` after `now` in the lanes that still have room within every limit of the claim,
   * undefined where nothing waits there; for the others the end of a call comes first
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

/** Where a batch of a reschedule starts; made and read by the store alone. */
export interface RescheduleCursor {
  readonly isFirstWalk: boolean
  readonly key?: TaskKey
  readonly passed: ReadonlyMap<string, number>
}
