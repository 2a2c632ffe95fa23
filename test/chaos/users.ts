/** Random users: each puts a task, mostly leaves it alone, sometimes meddles with it, and goes on to the next one. */
import { setTimeout } from 'node:timers/promises'
import { Random } from '../simulation/random.ts'
import type { Api } from './api.ts'
import type { Commands } from './commands.ts'
import { HANDLERS, SERIES, aSeries, aTask } from './definitions.ts'
import type { NewTask } from './definitions.ts'
import type { Operation } from './evidence.ts'
import type { JournalKeeper } from './journal-keeper.ts'

export interface UsersOptions {
  readonly seed: number
  /** how many there are */
  readonly count: number
  readonly api: Api
  readonly commands: Commands
  readonly keeper: JournalKeeper
  readonly receiverUrl: string
  /** epoch ms: nothing new is asked for after this, nor for a time after this */
  readonly endsAt: number
  /** aborts when all is over before that */
  readonly left: AbortSignal
}

const MINUTE_MS = 60_000
const MOST_TRIES = 8
const SHARE_OF_BATCHES = 0.15
const BATCH = [5, 40] as const
/** A user thinks for about so long, ms. */
const PAUSE = [20, 500] as const

/** Has handlers and series stored. To be called before anything goes wrong. */
export async function prepare({
  api,
  commands,
  keeper,
  receiverUrl,
}: Pick<UsersOptions, 'api' | 'commands' | 'keeper' | 'receiverUrl'>): Promise<void> {
  for (const [name, body] of Object.entries(HANDLERS)) await api.sendUntil({ method: 'PUT', path: `/handler/${name}`, body }, [200, 201])
  const { wanted, body } = aSeries(receiverUrl)
  for (const name of SERIES) {
    keeper.want(name, wanted)
    keeper.noteSeries(name)
    const { outcome } = await commands.put(name, { ...body, trigger_at: minuteAfter(Date.now()) }, { isNew: true })
    if (outcome !== 'accepted') throw new Error(`the series ${name} was not stored`)
  }
}

/** Resolves when all of them are done. */
export async function beUsers(options: UsersOptions): Promise<void> {
  await Promise.all(Array.from({ length: options.count }, (_, number) => beUser(options, number)))
}

/** Removes what lies ahead, so that all of it ends. */
export async function endSeries({ api, keeper }: Pick<UsersOptions, 'api' | 'keeper'>): Promise<void> {
  for (const name of keeper.seriesNames) {
    await api.sendUntil({ method: 'DELETE', path: `/task/${name}?state=pending` }, [200])
    keeper.noteSeries(name, Date.now())
  }
}

async function beUser(options: UsersOptions, number: number): Promise<void> {
  const random = new Random(options.seed, 'user', number)
  for (let n = 0; Date.now() < options.endsAt && !options.left.aborted; n += 1) {
    const id = `${number}-${n}`
    if (random.chance(SHARE_OF_BATCHES)) await putMany(options, random, id)
    else await putOne(options, random, id)
    await setTimeout(random.int(...PAUSE))
  }
}

async function putMany({ commands, keeper, receiverUrl, endsAt }: UsersOptions, random: Random, id: string): Promise<void> {
  const triggerAt = whenOf(random, endsAt)
  const tasks = Array.from({ length: random.int(...BATCH) }, (_, n) => aTask(random, `${id}-${n}`, receiverUrl))
  for (const { name, wanted } of tasks) keeper.want(name, wanted)
  await commands.putMany(tasks.map(({ name, body }) => ({ task_name: name, trigger_at: triggerAt, ...body })))
}

async function putOne(options: UsersOptions, random: Random, id: string): Promise<void> {
  const task = aTask(random, id, options.receiverUrl)
  const triggerAt = whenOf(random, options.endsAt)
  options.keeper.want(task.name, task.wanted)
  let put: Operation
  let tries = 0
  // Whoever gets no answer asks again, and takes care not to ask twice.
  do {
    put = await options.commands.put(task.name, { ...task.body, trigger_at: triggerAt }, { isNew: true })
    tries += 1
  } while (put.outcome !== 'accepted' && tries < MOST_TRIES && Date.now() < options.endsAt)
  const isCertain = tries === 1 && put.outcome === 'accepted'
  if (isCertain && put.key !== undefined && random.chance(0.35)) await meddle(options, random, task, put.key)
}

async function meddle({ commands, endsAt }: UsersOptions, random: Random, { name, body }: NewTask, key: string): Promise<void> {
  await setTimeout(random.pick([0, 50, 1000, 4000]))
  const next = minuteAfter(Date.now())
  const isInTime = next * 1000 <= endsAt
  const deed = random.int(0, 4)
  if (deed === 0) await commands.run(key)
  if (deed === 1) await commands.remove(key)
  if (deed === 2) await commands.runAndRemove(key)
  if (deed === 3 && isInTime) await commands.move(key, next)
  if (deed === 4 && isInTime) await commands.put(name, { ...body, trigger_at: next }, { isNew: false })
}

function whenOf(random: Random, endsAt: number): string | number {
  const next = minuteAfter(Date.now())
  return next * 1000 <= endsAt && random.chance(0.45) ? next : '+0m'
}

/** @returns Unix seconds */
function minuteAfter(ms: number): number {
  return (Math.floor(ms / MINUTE_MS) + 1) * 60
}
