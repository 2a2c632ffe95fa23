/** The types of what clients send. Generated from schema/api by schema/generate-types.ts: do not edit. */

export type ExpectedStatus = number | string

/**
 * The body with which a client stores one task.
 */
export interface TaskBody {
  /**
   * The name of the task. In `PUT /task/<name>` the path holds it: there the field is absent or equal to the path. `POST /tasks` requires it.
   */
  task_name?: string
  /**
   * The minute of the call, at most ten years ahead. A relative time counts from the start of the current minute; `+0m` runs at once. The field is required unless the task has `repeat`. Then the first time of `repeat` counts.
   */
  trigger_at?: string | number
  /**
   * The URL to call. The field is required unless the handler of the task has a `callback` or says `pull`.
   */
  callback?: string
  /**
   * The HTTP method of the call, in upper or lower case.
   */
  callback_method?: string
  /**
   * The body of the call. A string is sent as it is. Any other value is sent as JSON with `Content-Type: application/json`. Every method but HEAD sends it. GET sends it only when it is not empty.
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
   * Request headers of the call. `Host`, `Content-Length`, `Expect`, `Callme-*`, `webhook-*` and the headers of a connection are refused. A header that looks like a secret reads back as `redacted`: `Authorization`, `Cookie`, `*-Key`, `*-Token`, `*secret*`, `*password*`.
   */
  headers?: {
    [k: string]: string
  }
  /**
   * The statuses that count as success. Examples are `204`, `"2xx"` and `[200, 204, "3xx"]`.
   */
  expected_http_status?: ExpectedStatus | ExpectedStatus[]
  /**
   * How many times a failed call is tried again, after the first attempt.
   */
  retry?: number
  /**
   * The window of the task, in minutes from `trigger_at`. No attempt, first or later, starts once this many minutes have passed.
   */
  max_delay?: number
  /**
   * Seconds that one attempt may take, from connecting to the last byte. Without it the server's setting `--timeout` counts.
   */
  timeout?: number
  /**
   * `at_least_once` makes a call again when a crash leaves its outcome unknown. `at_most_once` never calls twice, and takes no `retry`.
   */
  delivery?: 'at_least_once' | 'at_most_once'
  /**
   * A URL that gets a `POST` when the task ends `failed` or `skipped`.
   */
  error_callback?: string
  /**
   * Minutes that the work may take after its call was accepted. The task stays `running` until it is acknowledged.
   */
  ack_timeout?: number
  /**
   * The times at which the task repeats, as a cron expression of five fields or a name such as `@daily`. Each task of the series is followed by the next one.
   */
  repeat?: string
  /**
   * The IANA time zone of `repeat`. It is refused where the task has no `repeat`.
   */
  timezone?: string
  /**
   * Seconds of its minute over which the first attempt may fall, so that a crowded minute is spread out. The second, from 0 to this number, follows from the key. `max_delay` still counts from the minute.
   */
  spread?: number
}

/**
 * The body that a client may send with a reschedule.
 */
export interface RescheduleBody {
  /**
   * The new time, in any form that a task takes. The next minute by default.
   */
  trigger_at?: string | number
}

/**
 * The query parameters of a list of tasks.
 */
export interface ListQuery {
  /**
   * Only tasks of this name. With `*` at its end: only tasks whose names begin so.
   */
  name?: string
  /**
   * Only tasks in one of these states.
   */
  state?: string
  /**
   * Only tasks whose `trigger_at` is at or after this time.
   */
  from?: string
  /**
   * Only tasks whose `trigger_at` is before this time.
   */
  to?: string
  /**
   * Only tasks whose `trigger_at` lies in the future.
   */
  future_only?: '' | 'true' | '1' | 'false' | '0'
  /**
   * How many tasks a page holds at most; 100 by default.
   */
  limit?: string
  /**
   * The page starts after this key, which is `next` of the page before.
   */
  start_from?: string
  /**
   * The answer is JSON indented by four spaces.
   */
  pretty?: '' | 'true' | '1' | 'false' | '0'
}

/**
 * The query parameters of a reschedule.
 */
export interface RescheduleQuery {
  /**
   * The new time, in any form that a task takes, where the body has none. The next minute by default.
   */
  trigger_at?: string
  /**
   * Take every task that is not running, and not only `failed` and `skipped` ones.
   */
  all?: '' | 'true' | '1' | 'false' | '0'
  /**
   * Answer with what would be done, and change nothing.
   */
  dry_run?: '' | 'true' | '1' | 'false' | '0'
  /**
   * Only tasks of this name. With `*` at its end: only tasks whose names begin so.
   */
  name?: string
  /**
   * Only tasks in one of these states.
   */
  state?: string
  /**
   * Only tasks whose `trigger_at` is at or after this time.
   */
  from?: string
  /**
   * Only tasks whose `trigger_at` is before this time.
   */
  to?: string
  /**
   * Only tasks whose `trigger_at` lies in the future.
   */
  future_only?: '' | 'true' | '1' | 'false' | '0'
  /**
   * How many tasks to take at most, in all; no limit by default.
   */
  limit?: string
  /**
   * The answer is JSON indented by four spaces.
   */
  pretty?: '' | 'true' | '1' | 'false' | '0'
}

/**
 * The query parameters of a deletion.
 */
export interface DeleteQuery {
  /**
   * Remove tasks that have ended, too.
   */
  all?: '' | 'true' | '1' | 'false' | '0'
  /**
   * Call the task now, marked as in advance, and remove it once it has succeeded. This takes the key of one task that has not ended.
   */
  run?: '' | 'true' | '1' | 'false' | '0'
  /**
   * Only tasks of this name. With `*` at its end: only tasks whose names begin so.
   */
  name?: string
  /**
   * Only tasks in one of these states, ended ones included. `running` is refused.
   */
  state?: string
  /**
   * Only tasks whose `trigger_at` is at or after this time.
   */
  from?: string
  /**
   * Only tasks whose `trigger_at` is before this time.
   */
  to?: string
  /**
   * Only tasks whose `trigger_at` lies in the future.
   */
  future_only?: '' | 'true' | '1' | 'false' | '0'
  /**
   * The answer is JSON indented by four spaces.
   */
  pretty?: '' | 'true' | '1' | 'false' | '0'
}

/**
 * The query parameters of an endpoint that has none of its own.
 */
export interface PlainQuery {
  /**
   * The answer is JSON indented by four spaces.
   */
  pretty?: '' | 'true' | '1' | 'false' | '0'
}

/**
 * The body with which a client stores a handler: defaults for its tasks, and limits for all of them together.
 */
export interface HandlerBody {
  /**
   * The URL to call for tasks that have no `callback` of their own.
   */
  callback?: string
  /**
   * The HTTP method of the call, in upper or lower case.
   */
  callback_method?: string
  headers?: Headers
  /**
   * The statuses that count as success. Examples are `204`, `"2xx"` and `[200, 204, "3xx"]`.
   */
  expected_http_status?: (number | string) | (number | string)[]
  /**
   * How many times a failed call is tried again, after the first attempt.
   */
  retry?: number
  /**
   * The window of the task, in minutes from `trigger_at`. No attempt, first or later, starts once this many minutes have passed.
   */
  max_delay?: number
  /**
   * Seconds that one attempt may take, from connecting to the last byte. Without it the server's setting `--timeout` counts.
   */
  timeout?: number
  /**
   * A URL that gets a `POST` when the task ends `failed` or `skipped`.
   */
  error_callback?: string
  /**
   * `at_least_once` makes a call again when a crash leaves its outcome unknown. `at_most_once` never calls twice, and takes no `retry`.
   */
  delivery?: 'at_least_once' | 'at_most_once'
  /**
   * Minutes that the work may take after its call was accepted. The task stays `running` until it is acknowledged.
   */
  ack_timeout?: number
  /**
   * How many of its tasks may be running at the same time, over all their names and all nodes. Tasks that await an acknowledgement or are with a worker count too. Without it there is no limit.
   */
  concurrency?: number
  /**
   * How many attempts of its tasks may start in any minute, counted by whole seconds, over all nodes. Without it there is no limit.
   */
  rate?: number
  /**
   * With `true` no attempt of its tasks starts.
   */
  paused?: boolean
  /**
   * With `true` its tasks are not called. Workers claim them.
   */
  pull?: boolean
  /**
   * The name of its tasks, or the beginning of their names and `*`. The path holds it already, so the field may be left out.
   */
  name?: string
  /**
   * The same as `name`.
   */
  task_name?: string
}
/**
 * Request headers of the call. A task's own header of the same name wins.
 */
export interface Headers {
  [k: string]: string
}

/**
 * The query parameters of a request that stores or removes a handler.
 */
export interface HandlerQuery {
  /**
   * Store or remove the handler although tasks lose the callback that they wait for. These tasks fail when they are due.
   */
  force?: '' | 'true' | '1' | 'false' | '0'
  /**
   * The answer is JSON indented by four spaces.
   */
  pretty?: '' | 'true' | '1' | 'false' | '0'
}

/**
 * The query parameters of the list of handlers.
 */
export interface HandlerListQuery {
  /**
   * How many handlers a page holds at most; 100 by default.
   */
  limit?: string
  /**
   * The page starts after this name, which is `next` of the page before.
   */
  start_from?: string
  /**
   * The answer is JSON indented by four spaces.
   */
  pretty?: '' | 'true' | '1' | 'false' | '0'
}

/**
 * The query parameters of the lateness of attempts.
 */
export interface LatenessQuery {
  /**
   * Only attempts of tasks of this name. With `*` at its end: only of tasks whose names begin so.
   */
  name?: string
  /**
   * Only attempts of tasks whose `trigger_at` is at or after this time. By default it is 24 hours before `to`.
   */
  from?: string
  /**
   * Only attempts of tasks whose `trigger_at` is before this time. By default it is now.
   */
  to?: string
  /**
   * The answer is JSON indented by four spaces.
   */
  pretty?: '' | 'true' | '1' | 'false' | '0'
}

/**
 * The query parameters of a preview of repeating times.
 */
export interface PreviewQuery {
  /**
   * The same as in a task; here a `+` stands for a space. The parameter is required.
   */
  repeat: string
  /**
   * The same as in a task; UTC by default.
   */
  timezone?: string
  /**
   * How many times to answer; 10 by default.
   */
  count?: string
  /**
   * The answer is JSON indented by four spaces.
   */
  pretty?: '' | 'true' | '1' | 'false' | '0'
}

/**
 * The body with which an endpoint or a worker ends or prolongs a running task.
 */
export interface AckBody {
  /**
   * The attempt to acknowledge: `Callme-Attempt` of its call, or `attempts` of the claimed task. Any other attempt than the running one gets 409. So a late acknowledgement of an earlier attempt changes nothing.
   */
  attempt: number
  /**
   * How the work has ended. `running` gives the task its whole time once more.
   */
  status: 'successful' | 'failed' | 'running'
  /**
   * Whether a failure may be tried again, as far as `retry` and the window allow. It means nothing with another status.
   */
  retryable?: boolean
  /**
   * The outcome to keep: text as it is, any other value as JSON. Its first 1 024 bytes become `response_body`. `null` is none. With `running` nothing of it is kept.
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
   * The run to acknowledge: `Callme-Run-Id` of its call, or `run_id` of the claimed task. Any other run gets 409. Send it where the task may have been rescheduled or run again.
   */
  run_id?: string
}

/**
 * The query parameters of a worker's claim.
 */
export interface ClaimQuery {
  /**
   * How many tasks to hand out at most; 10 by default.
   */
  limit?: string
  /**
   * Seconds that the worker has until it acknowledges or prolongs a task; 60 by default.
   */
  lease?: string
  /**
   * Seconds that the request may wait for a task where none is due; 0 by default.
   */
  wait?: string
  /**
   * The answer is JSON indented by four spaces.
   */
  pretty?: '' | 'true' | '1' | 'false' | '0'
}

/**
 * The query parameters of an event stream.
 */
export interface EventsQuery {
  /**
   * Only events of these kinds. `*` stands for all of them, which is the default.
   */
  events?: string
  /**
   * Only events of tasks of this name. With `*` at its end: only of tasks whose names begin so.
   */
  name?: string
  /**
   * The stream starts after this event. The header `Last-Event-ID`, where there is one, wins.
   */
  last_event_id?: string
  /**
   * Taken as everywhere. An event stays on one line, and an error is indented by four spaces.
   */
  pretty?: '' | 'true' | '1' | 'false' | '0'
}
