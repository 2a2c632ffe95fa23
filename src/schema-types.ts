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
   * When to call: relative to the start of the current minute, a Unix time on a whole minute, or an RFC 3339 instant on a whole minute.
   */
  trigger_at: string | number
  /**
   * The URL to call.
   */
  callback: string
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
