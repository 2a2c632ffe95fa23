/** What random users of a run ask for. */
import type { Random } from '../simulation/random.ts'
import type { Wanted } from './evidence.ts'

export interface NewTask {
  readonly name: string
  readonly wanted: Wanted
  /** as it is sent, but for `trigger_at` */
  readonly body: Readonly<Record<string, unknown>>
}

/** The handlers that there are, by name. */
export const HANDLERS = {
  'limited.*': { concurrency: 2 },
  'hurried.*': { rate: 300 },
  'pulled.*': { pull: true },
} as const

export const PULLED = 'pulled.*'
export const SERIES = ['series-a', 'series-b']
const TIMEOUT_S = 5
const ACK_TIMEOUT_MINUTES = 1

type Kind = 'plain' | 'once' | 'accepted' | 'limited.' | 'hurried.' | 'pulled.'

/** @param id makes its name the only one of its kind */
export function aTask(random: Random, id: string, receiverUrl: string): NewTask {
  const kind = random.weighted<Kind>([
    [7, 'plain'],
    [4, 'once'],
    [3, 'accepted'],
    [3, 'limited.'],
    [1, 'hurried.'],
    [3, 'pulled.'],
  ])
  const wanted: Wanted = {
    delivery: kind === 'once' ? 'at_most_once' : 'at_least_once',
    retry: random.int(0, 3),
    maxDelay: random.pick([1, 1, 2, 3]),
    timeout: TIMEOUT_S,
    isPulled: kind === 'pulled.',
    isAccepted: kind === 'accepted',
    hasErrorCallback: random.chance(0.4),
    ...(kind === 'limited.' && { concurrency: HANDLERS['limited.*'].concurrency }),
  }
  return { name: `${kind}${kind.endsWith('.') ? '' : '-'}${id}`, wanted, body: bodyOf(wanted, receiverUrl) }
}

export function aSeries(receiverUrl: string): Omit<NewTask, 'name'> {
  const wanted: Wanted = {
    ...{ delivery: 'at_least_once', retry: 2, maxDelay: 1, timeout: TIMEOUT_S },
    ...{ isPulled: false, isAccepted: false, hasErrorCallback: false },
  }
  return { wanted, body: { ...bodyOf(wanted, receiverUrl), repeat: '* * * * *' } }
}

function bodyOf(wanted: Wanted, receiverUrl: string): Record<string, unknown> {
  const { delivery, retry, maxDelay, timeout, isPulled, isAccepted, hasErrorCallback } = wanted
  return {
    ...(!isPulled && { callback: `${receiverUrl}/${isAccepted ? 'accept' : 'run'}`, callback_method: 'POST' }),
    delivery,
    ...(delivery === 'at_least_once' && { retry }),
    max_delay: maxDelay,
    timeout,
    ...(isAccepted && { ack_timeout: ACK_TIMEOUT_MINUTES }),
    ...(hasErrorCallback && { error_callback: `${receiverUrl}/errors` }),
  }
}
