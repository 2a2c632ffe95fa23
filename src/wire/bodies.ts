/** The types of what clients send. Generated from schema/api by schema/generate-types.ts: do not edit. */

export type ExpectedStatus = number | string

/**
 * What a client sends to have one task stored.
 */
export interface TaskBody {
  /**
   * The name of the task. The path holds it already in PUT /task/<name>, where it may be left out; POST /tasks needs it.
   */
  task_name?: string
  /**
   * When to call: relative to the start of the current minute, a Unix time on a whole minute, or an RFC 3339 instant on a whole minute. May be left out where there is a repeat: then the first time that it names.
   */
  trigger_at?: string | number
  /**
   * The URL to call. May be left out where the name has a handler with a callback, or one whose tasks are pulled.
   */
  callback?: string
  /**
   * The HTTP method of the call, in any case.
   */
  callback_method?: string
  /**
   * The body of the call: a string is sent as it is, any other value as JSON.
   */
  payload?:
    | string
    | number
    | boolean
    | {
        [k: string]: unknown
      }
    | unknown[]
    | null
  /**
   * Request headers of the call.
   */
  headers?: {
    [k: string]: string
  }
  /**
   * The status, class of statuses, or list of both that counts as success.
   */
  expected_http_status?: ExpectedStatus | ExpectedStatus[]
  /**
   * How many times a failed call is tried again.
   */
  retry?: number
  /**
   * Minutes after trigger_at from which on no attempt is made.
   */
  max_delay?: number
  /**
   * Seconds that one attempt may take, from connecting to the last byte; the server's setting by default.
   */
  timeout?: number
  /**
   * Whether a call whose outcome is unknown after a crash is made again.
   */
  delivery?: 'at_least_once' | 'at_most_once'
  /**
   * A URL that is told with a POST when the task ends failed or skipped.
   */
  error_callback?: string
  /**
   * Minutes that the work may take after its call was accepted: the task stays running until it is acknowledged.
   */
  ack_timeout?: number
  /**
   * A cron expression: each entry is followed by the next one.
   */
  repeat?: string
  /**
   * The time zone of repeat.
   */
  timezone?: string
  /**
   * Seconds of its minute over which the first attempt may fall; the second follows from the key.
   */
  spread?: number
}

/**
 * What a client may send with a reschedule.
 */
export interface RescheduleBody {
  /**
   * The new time, in any form that a task definition takes; the next minute by default.
   */
  trigger_at?: string | number
}

/**
 * The query parameters of a list of tasks.
 */
export interface ListQuery {
  /**
   * Only entries of this name, or of the names that begin with what stands before an asterisk.
   */
  name?: string
  /**
   * Only entries in one of these states.
   */
  state?: string
  /**
   * Only entries whose trigger_at is at or after this time.
   */
  from?: string
  /**
   * Only entries whose trigger_at is before this time.
   */
  to?: string
  /**
   * Only entries whose trigger_at lies in the future.
   */
  future_only?: '' | 'true' | '1' | 'false' | '0'
  /**
   * How many entries a page holds at the most; 100 by default.
   */
  limit?: string
  /**
   * The page starts after this key: what `next` of the page before holds.
   */
  start_from?: string
  /**
   * Indent the answer by four spaces.
   */
  pretty?: '' | 'true' | '1' | 'false' | '0'
}

/**
 * The query parameters of a reschedule.
 */
export interface RescheduleQuery {
  /**
   * The new time, in any form that a task definition takes; the next minute by default.
   */
  trigger_at?: string
  /**
   * Take every entry that is not running, not only failed and skipped ones.
   */
  all?: '' | 'true' | '1' | 'false' | '0'
  /**
   * Answer what would be done and change nothing.
   */
  dry_run?: '' | 'true' | '1' | 'false' | '0'
  /**
   * Only entries of this name, or of the names that begin with what stands before an asterisk.
   */
  name?: string
  /**
   * Only entries in one of these states.
   */
  state?: string
  /**
   * Only entries whose trigger_at is at or after this time.
   */
  from?: string
  /**
   * Only entries whose trigger_at is before this time.
   */
  to?: string
  /**
   * Only entries whose trigger_at lies in the future.
   */
  future_only?: '' | 'true' | '1' | 'false' | '0'
  /**
   * How many entries to take at the most; no limit by default.
   */
  limit?: string
  /**
   * Indent the answer by four spaces.
   */
  pretty?: '' | 'true' | '1' | 'false' | '0'
}

/**
 * The query parameters of a deletion.
 */
export interface DeleteQuery {
  /**
   * Remove final entries too.
   */
  all?: '' | 'true' | '1' | 'false' | '0'
  /**
   * Call the entry now, marked as in advance, and remove it once it has succeeded; for one entry that has not ended.
   */
  run?: '' | 'true' | '1' | 'false' | '0'
  /**
   * Only entries of this name, or of the names that begin with what stands before an asterisk.
   */
  name?: string
  /**
   * Only entries in one of these states, final ones included; running ones cannot be deleted.
   */
  state?: string
  /**
   * Only entries whose trigger_at is at or after this time.
   */
  from?: string
  /**
   * Only entries whose trigger_at is before this time.
   */
  to?: string
  /**
   * Only entries whose trigger_at lies in the future.
   */
  future_only?: '' | 'true' | '1' | 'false' | '0'
  /**
   * Indent the answer by four spaces.
   */
  pretty?: '' | 'true' | '1' | 'false' | '0'
}

/**
 * The query parameters of an endpoint that has none of its own.
 */
export interface PlainQuery {
  /**
   * Indent the answer by four spaces.
   */
  pretty?: '' | 'true' | '1' | 'false' | '0'
}

/**
 * What a client sends to have a handler stored: defaults for the tasks of the names that it is for, and limits for all of them together.
 */
export interface HandlerBody {
  /**
   * The URL to call for tasks that have none of their own.
   */
  callback?: string
  /**
   * The HTTP method of the call, in any case.
   */
  callback_method?: string
  headers?: Headers
  /**
   * The status, class of statuses, or list of both that counts as success.
   */
  expected_http_status?: (number | string) | (number | string)[]
  /**
   * How many times a failed call is tried again.
   */
  retry?: number
  /**
   * Minutes after trigger_at from which on no attempt is made.
   */
  max_delay?: number
  /**
   * Seconds that one attempt may take, from connecting to the last byte; the server's setting by default.
   */
  timeout?: number
  /**
   * A URL that is told with a POST when the task ends failed or skipped.
   */
  error_callback?: string
  /**
   * Whether a call whose outcome is unknown after a crash is made again.
   */
  delivery?: 'at_least_once' | 'at_most_once'
  /**
   * Minutes that the work may take after its call was accepted: the task stays running until it is acknowledged.
   */
  ack_timeout?: number
  /**
   * How many tasks of the handler may be running at the same time, over all nodes; no limit by default.
   */
  concurrency?: number
  /**
   * How many attempts of its tasks may start in a minute, over all nodes; no limit by default.
   */
  rate?: number
  /**
   * Whether no attempt of its tasks starts.
   */
  paused?: boolean
  /**
   * Whether its tasks are not called but pulled by workers.
   */
  pull?: boolean
  /**
   * The name that the handler is for, or the beginning of names and an asterisk. The path holds it already; it may be left out.
   */
  name?: string
  /**
   * The same as name.
   */
  task_name?: string
}
/**
 * Request headers of the call; a task's own header of the same name wins.
 */
export interface Headers {
  [k: string]: string
}

/**
 * The query parameters of a request that stores or removes a handler.
 */
export interface HandlerQuery {
  /**
   * Do it although tasks lose the callback that they wait for; they fail when they are due.
   */
  force?: '' | 'true' | '1' | 'false' | '0'
  /**
   * Indent the answer by four spaces.
   */
  pretty?: '' | 'true' | '1' | 'false' | '0'
}

/**
 * The query parameters of the list of handlers.
 */
export interface HandlerListQuery {
  /**
   * How many handlers a page holds at the most; 100 by default.
   */
  limit?: string
  /**
   * The page starts after this name: what `next` of the page before holds.
   */
  start_from?: string
  /**
   * Indent the answer by four spaces.
   */
  pretty?: '' | 'true' | '1' | 'false' | '0'
}

/**
 * The query parameters of the lateness of attempts.
 */
export interface LatenessQuery {
  /**
   * Only attempts of tasks of this name, or of the names that begin with what stands before an asterisk.
   */
  name?: string
  /**
   * Only attempts of entries whose trigger_at is at or after this time; by default the time 24 hours before `to`.
   */
  from?: string
  /**
   * Only attempts of entries whose trigger_at is before this time; by default now.
   */
  to?: string
  /**
   * Indent the answer by four spaces.
   */
  pretty?: '' | 'true' | '1' | 'false' | '0'
}

/**
 * The query parameters of a preview of repeating times.
 */
export interface PreviewQuery {
  /**
   * As in a task definition; here a `+` stands for a space.
   */
  repeat: string
  /**
   * As in a task definition; UTC by default.
   */
  timezone?: string
  /**
   * How many occurrences to answer; 10 by default.
   */
  count?: string
  /**
   * Indent the answer by four spaces.
   */
  pretty?: '' | 'true' | '1' | 'false' | '0'
}

/**
 * What whoever has a running task sends to end or to prolong it.
 */
export interface AckBody {
  /**
   * The attempt that this is about: Callme-Attempt of its call, or attempts of the task that was claimed.
   */
  attempt: number
  /**
   * How the work has ended, or that it goes on.
   */
  status: 'successful' | 'failed' | 'running'
  /**
   * Whether a failure may be tried again, as far as the task's retry allows; means nothing with another status.
   */
  retryable?: boolean
  /**
   * What to keep of the outcome: text as it is, any other value as JSON, the first 1024 bytes of it; null is none.
   */
  detail?:
    | string
    | number
    | boolean
    | {
        [k: string]: unknown
      }
    | unknown[]
    | null
  /**
   * The run that this is about, for those who want to be sure: Callme-Run-Id of its call, or run_id of the task that was claimed.
   */
  run_id?: string
}

/**
 * The query parameters of a worker's claim.
 */
export interface ClaimQuery {
  /**
   * How many tasks to hand out at the most; 10 by default.
   */
  limit?: string
  /**
   * Seconds that the worker has until it acknowledges or prolongs them; 60 by default.
   */
  lease?: string
  /**
   * Seconds that the request may wait for a task where none is due; 0 by default.
   */
  wait?: string
  /**
   * Indent the answer by four spaces.
   */
  pretty?: '' | 'true' | '1' | 'false' | '0'
}

/**
 * The query parameters of an event stream.
 */
export interface EventsQuery {
  /**
   * Only events of these kinds; * stands for all of them, which is the default.
   */
  events?: string
  /**
   * Only events of tasks of this name, or of the names that begin with what stands before an asterisk.
   */
  name?: string
  /**
   * The stream starts after this event; the header Last-Event-ID, where there is one, wins.
   */
  last_event_id?: string
  /**
   * Taken as everywhere; the data of an event stays one line, and an answer that refuses is indented by four spaces.
   */
  pretty?: '' | 'true' | '1' | 'false' | '0'
}
