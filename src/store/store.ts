/**
 * The seam to durable storage: verbs of the domain, each atomic, and durable when its promise resolves.
 * Times are epoch milliseconds, `triggerAt` is Unix seconds. A store that cannot answer rejects with
 * `CallmeError('store_unavailable')` and has then changed nothing.
 */
import type { Outcome } from '../domain/outcome.ts'
import type { Attempt, NewTask, Task, TaskState } from '../domain/task.ts'
import type { TaskKey } from '../domain/task-key.ts'

export interface Store {
  /**
   * Stores each task as `pending`, or replaces the entry that has its key; all in one commit.
   * Results are in the order of `tasks`; an entry that is `running` is left alone, and with `ifAbsent` so is any entry.
   */
  put(tasks: readonly NewTask[], options: { now: number; ifAbsent?: boolean }): Promise<PutResult[]>

  get(key: TaskKey): Promise<Task | undefined>

  /** The attempts of an entry over all its runs, oldest first; empty for an unknown key. */
  history(key: TaskKey): Promise<Attempt[]>

  /** One page in the order of `triggerAt`, then name (bytes of UTF-8). `more` says that entries follow the last one. */
  list(selection: Selection, page: { after?: TaskKey; limit: number }): Promise<{ tasks: Task[]; more: boolean }>

  /**
   * Moves due tasks from waiting to `running` for one node: attempt + 1, lease set. Oldest first within a lane, shared
   * evenly over the lanes that have room. Tasks whose deadline has passed are not handed out.
   */
  claimDue(claim: Claim): Promise<ClaimResult>

  /**
   * Writes what became of claimed tasks, guarded by run id, attempt and `running`: a result of a lost lease changes
   * nothing. Answers, in order, whether each was written.
   */
  record(outcomes: readonly Outcome[]): Promise<boolean[]>

  /** Ends waiting tasks whose deadline has passed; at most `limit` of them, which are returned as they now are. */
  expire(options: { now: number; limit: number }): Promise<Task[]>

  /** Extends the leases of claimed tasks; those whose claim was lost stay as they are. */
  renew(claims: readonly Task[], options: { leaseUntil: number }): Promise<void>

  /**
   * Settles running tasks that lost their node: those whose lease is over, or, with `onlyNode`, all that another node
   * has claimed (a store that only one process may open knows that the others are gone). At most `limit`, returned as
   * they now are; the lost attempt is recorded.
   */
  rescue(options: { now: number; onlyNode?: string; limit: number }): Promise<Task[]>

  /**
   * Gives matching entries a new time. Final ones stay, marked with `rescheduledTo`, and a `pending` copy is made;
   * waiting ones move. A minute that is taken is passed over for the next free one. Takes `failed` and `skipped`
   * entries not yet rescheduled, or with `all` every entry that is not running.
   * One batch of at most `limit`; `next` is where the following batch starts. With `dryRun` nothing is changed.
   */
  reschedule(request: RescheduleRequest): Promise<{ tasks: Task[]; next?: RescheduleCursor }>

  /** Makes an entry due now, with its window starting now; a final one as a new run. */
  run(key: TaskKey, options: { now: number }): Promise<Task | 'running' | 'unknown'>

  /**
   * Removes matching entries that are not running, at most `limit`, oldest first, and answers how many. Many are removed in several
   * commits: when the store fails on the way, those before stay removed.
   */
  remove(selection: Selection, options: { limit: number }): Promise<number>

  /** Removes final entries last changed before `before`, oldest first, at most `limit`, and answers how many. */
  prune(options: { before: number; limit: number }): Promise<number>

  /** How many entries there are in each state; writes one row on the way, as the proof that the store can be written. */
  counts(): Promise<Record<TaskState, number>>

  /** Waits for the writes under way, then lets go of the store. */
  close(): Promise<void>
}

export type PutResult = { readonly outcome: 'created' | 'replaced'; readonly task: Task } | { readonly outcome: 'running' | 'exists' }

/** Which entries are meant; every filter that is given must hold. One entry is its name with `from` its minute and `to` the next. */
export interface Selection {
  readonly name?: string
  readonly states?: readonly TaskState[]
  /** Unix seconds, inclusive */
  readonly from?: number
  /** Unix seconds, exclusive */
  readonly to?: number
}

export interface Claim {
  readonly now: number
  readonly node: string
  readonly leaseUntil: number
  /** how many tasks at the most */
  readonly limit: number
  /** the lanes that the node has calls with, or an opinion of */
  readonly lanes: Pick<ReadonlyMap<string, LaneRoom>, 'get'>
  /** how many of each lane that is not in `lanes` */
  readonly roomOfNewLane: number
  /** how many of all the lanes together that are not proven, new ones included */
  readonly unprovenLimit: number
}

export interface LaneRoom {
  /** how many more tasks of the lane may be claimed */
  readonly room: number
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
