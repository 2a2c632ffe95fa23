/** Whoever has work that ends later: workers that have pulled it, and receivers that have only accepted it. */
import { sendCommand } from './commands.ts'
import type { UsersOptions } from './commands.ts'
import type { Entry } from './entry.ts'
import type { Call } from './network.ts'
import type { Answer } from './node.ts'
import { Random } from './random.ts'

export type Said = 'successful' | 'failed' | 'running'

/** An attempt that somebody has. */
interface Work {
  readonly key: string
  readonly attempt: number
}

const ACK_TRIES = 6
const ACK_AGAIN_MS = 10_000

/** What a receiver does that only accepts the work: it may have done it before its own answer has come. */
export function accept(options: UsersOptions, { request, attempt }: Call, entry: Entry): void {
  const { ack_timeout: minutes } = entry.definition
  if (minutes === undefined) return
  const random = new Random(options.seed, 'ack', entry.of ?? 0, attempt)
  const ms = random.chance(0.3) ? random.int(1, 1500) : random.int(1, minutes * 80_000)
  work(options, { key: decodeURIComponent(request.headers['callme-task'] ?? ''), attempt }, random, ms)
}

/** Somebody works for `ms`, then tells how it has ended, or that it goes on, or nothing at all. */
export function work(options: UsersOptions, what: Work, random: Random, ms: number): void {
  const ends = random.weighted<Said | 'silent'>([
    [6, 'successful'],
    [3, 'failed'],
    [2, 'running'],
    [2, 'silent'],
  ])
  if (ends === 'silent') return
  const say = async (tries: number): Promise<void> => {
    const answer = await acknowledge(options, what, ends)
    if (answer === 'lost' && tries < ACK_TRIES) options.time.after(ACK_AGAIN_MS, () => void say(tries + 1))
    else if (ends === 'running') work(options, what, random, ms)
  }
  options.time.after(ms, () => void say(1))
}

export async function acknowledge(options: UsersOptions, { key, attempt }: Work, status: Said): Promise<Answer> {
  const [name, triggerAt] = key.split('@')
  const { answer } = await sendCommand(
    options,
    { does: 'ack', isAbout: (entry) => entry.name === name && entry.triggerAt === Number(triggerAt) && entry.attempts === attempt },
    { method: 'POST', url: `/ack/${encodeURIComponent(key)}`, payload: JSON.stringify({ attempt, status }) },
  )
  return answer
}
