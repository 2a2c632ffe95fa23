/** What random users ask for: tasks, series and handlers of a few names at a few hosts, so that they meet. */
import type { HandlerDefinition } from '../../src/domain/task/handler.ts'
import type { TaskDefinition } from '../../src/domain/task/task.ts'
import type { Random } from './random.ts'

/** A task as it is sent, but for its payload, which says which decision it is of. */
export type Body = Omit<TaskDefinition, 'payload'> & { readonly trigger_at?: string }
export type HandlerBody = HandlerDefinition

export const HOSTS = ['one.test', 'two.test', 'mail.test', 'errors.test']
/** Hosts whose names begin with this never answer. */
export const SILENT = 'silent-'
/** Of these names no entry repeats. */
export const NOT_REPEATING = ['plain-a', 'plain-b', 'ünï%', 'limited', 'mail.a', 'mail.b', 'mail.c', 'mail.d', 'pulled']
export const NAMES = [...NOT_REPEATING, 'plain-a', 'limited', 'limited', 'pulled']

/** `period` and `first` in seconds say what `repeat` says: its times are `first`, `first + period`, … from 1970 on. */
export const PATTERNS = [
  { name: 'tick-1', repeat: '17 */2 * * *', period: 7200, first: 17 * 60 },
  { name: 'tick-2', repeat: '@hourly', period: 3600, first: 0 },
] as const

function aUrl(random: Random): string {
  return `http://${random.pick(['one.test', 'one.test', 'two.test'])}/`
}

export function aBody(random: Random, name: string): Body {
  const delivery = random.weighted([
    [7, undefined],
    [2, 'at_most_once' as const],
  ])
  const hasOwnUrl = !/^(mail|pulled)/.test(name) || random.chance(0.3)
  return without({
    trigger_at: random.pick(['+0m', '+0m', '+1m', '+1m', '+2m', '+7m', '+90m']),
    callback: hasOwnUrl ? aUrl(random) : undefined,
    retry: delivery === undefined ? random.pick([undefined, 0, 1, 2, 4]) : undefined,
    max_delay: random.pick([undefined, 1, 2, 10, 45]),
    timeout: random.pick([undefined, undefined, 1, 100]),
    delivery,
    ack_timeout: random.chance(0.2) ? random.int(1, 4) : undefined,
    error_callback: random.chance(0.25) ? 'http://errors.test/' : undefined,
    expected_http_status: random.pick([undefined, undefined, '2xx', [200, 404]]),
    spread: random.chance(0.1) ? 59 : undefined,
  })
}

/** A task for a host of its own that hangs. */
export function aSilentTask(random: Random, number: number): [name: string, body: Body] {
  const body: Body = without({
    ...{ trigger_at: random.pick(['+0m', '+1m']), callback: `http://${SILENT}${number}.test/` },
    ...{ retry: random.pick([undefined, 0, 2]), max_delay: random.pick([1, 2, 10]), timeout: random.pick([undefined, undefined, 1, 100]) },
  })
  return [`crowd-${number}`, body]
}

export function aSeries(random: Random, repeat: string): Body {
  return without({ callback: aUrl(random), repeat, max_delay: random.pick([undefined, 1, 90]), retry: random.pick([undefined, 3]) })
}

export function aHandler(random: Random): HandlerBody {
  return without({
    callback: random.chance(0.7) ? aUrl(random) : undefined,
    max_delay: random.pick([undefined, undefined, 3, 30]),
    concurrency: random.pick([undefined, 1, 2, 3]),
    rate: random.pick([undefined, undefined, 1, 2, 4]),
    paused: random.pick([undefined, undefined, undefined, true]),
    pull: random.pick([undefined, undefined, undefined, undefined, undefined, true]),
  })
}

/** Without the fields that are not given. */
function without<T extends object>(fields: T): { [Field in keyof T]: Exclude<T[Field], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [Field in keyof T]: Exclude<T[Field], undefined>
  }
}
