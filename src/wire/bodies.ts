/** The types of what clients send. Generated from schema/api by schema/generate-types.ts: do not edit. */

export type ExpectedStatus = number | string

export interface TaskBody {
  task_name?: string
  trigger_at?: string | number
  callback?: string
  callback_method?: string
  payload?: string | number | boolean | { [k: string]: unknown } | unknown[] | null
  headers?: { [k: string]: string }
  expected_http_status?: ExpectedStatus | ExpectedStatus[]
  retry?: number
  max_delay?: number
  timeout?: number
  delivery?: 'at_least_once' | 'at_most_once'
  error_callback?: string
  error_payload?: string | { [k: string]: unknown } | unknown[]
  ack_timeout?: number
  repeat?: string
  timezone?: string
  spread?: number
  unique?: 'waiting' | 'ever'
}

export interface RescheduleBody {
  trigger_at?: string | number
  timezone?: string
}

export interface ListQuery {
  name?: string
  state?: string
  from?: string
  to?: string
  timezone?: string
  future_only?: '' | 'true' | '1' | 'false' | '0'
  limit?: string
  start_from?: string
  pretty?: '' | 'true' | '1' | 'false' | '0'
}

export interface RescheduleQuery {
  trigger_at?: string
  all?: '' | 'true' | '1' | 'false' | '0'
  dry_run?: '' | 'true' | '1' | 'false' | '0'
  name?: string
  state?: string
  from?: string
  to?: string
  timezone?: string
  future_only?: '' | 'true' | '1' | 'false' | '0'
  limit?: string
  pretty?: '' | 'true' | '1' | 'false' | '0'
}

export interface DeleteQuery {
  all?: '' | 'true' | '1' | 'false' | '0'
  run?: '' | 'true' | '1' | 'false' | '0'
  name?: string
  state?: string
  from?: string
  to?: string
  timezone?: string
  future_only?: '' | 'true' | '1' | 'false' | '0'
  pretty?: '' | 'true' | '1' | 'false' | '0'
}

export interface PatchQuery {
  run?: '' | 'true' | '1' | 'false' | '0'
  pretty?: '' | 'true' | '1' | 'false' | '0'
}

export interface PlainQuery {
  pretty?: '' | 'true' | '1' | 'false' | '0'
}

export type Payload = string | number | boolean | { [k: string]: unknown } | unknown[] | null
export type ErrorPayload = string | { [k: string]: unknown } | unknown[]

export interface HandlerBody {
  callback?: string
  callback_method?: string
  payload?: Payload
  headers?: Headers
  expected_http_status?: (number | string) | (number | string)[]
  retry?: number
  max_delay?: number
  timeout?: number
  error_callback?: string
  error_payload?: ErrorPayload
  delivery?: 'at_least_once' | 'at_most_once'
  ack_timeout?: number
  concurrency?: number
  rate?: number
  paused?: boolean
  pull?: boolean
  name?: string
  task_name?: string
}
export interface Headers {
  [k: string]: string
}

export interface HandlerQuery {
  force?: '' | 'true' | '1' | 'false' | '0'
  pretty?: '' | 'true' | '1' | 'false' | '0'
}

export interface HandlerListQuery {
  limit?: string
  start_from?: string
  pretty?: '' | 'true' | '1' | 'false' | '0'
}

export interface LatenessQuery {
  name?: string
  from?: string
  to?: string
  timezone?: string
  pretty?: '' | 'true' | '1' | 'false' | '0'
}

export interface PreviewQuery {
  repeat: string
  timezone?: string
  count?: string
  pretty?: '' | 'true' | '1' | 'false' | '0'
}

export interface AckBody {
  attempt: number
  status: 'successful' | 'failed' | 'running'
  retryable?: boolean
  detail?: string | number | boolean | { [k: string]: unknown } | unknown[] | null
  run_id?: string
}

export interface ClaimQuery {
  limit?: string
  lease?: string
  wait?: string
  pretty?: '' | 'true' | '1' | 'false' | '0'
}

export interface EventsQuery {
  events?: string
  name?: string
  last_event_id?: string
  pretty?: '' | 'true' | '1' | 'false' | '0'
}
