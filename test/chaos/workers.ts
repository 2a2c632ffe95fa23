/** Whoever does the work: workers that pull tasks, and a receiver that has accepted some. They say how it ended, late, or never. */
import { setTimeout } from 'node:timers/promises'
import type { WireTask } from '../../src/wire/present-task.ts'
import type { Child } from '../bench/support/child.ts'
import { Random } from '../simulation/random.ts'
import type { Api } from './api.ts'
import type { Commands } from './commands.ts'
import { PULLED } from './definitions.ts'
import { keyOfTask } from './evidence.ts'
import type { JournalKeeper } from './journal-keeper.ts'
import type { ReceiverVerbs } from './receiver-process.ts'

export interface WorkersOptions {
  readonly seed: number
  readonly api: Api
  readonly commands: Commands
  readonly keeper: JournalKeeper
  readonly receiver: Child<ReceiverVerbs>
  /** epoch ms: from then on nobody is silent, so that all ends soon */
  readonly silentUntil: number
  /** aborts when there is no work left */
  readonly left: AbortSignal
}

interface Work {
  readonly key: string
  readonly runId: string
  readonly attempt: number
}

const LEASE_SECONDS = 5
const PULL_EVERY_MS = 500
const LOOK_EVERY_MS = 200
const MOST_TRIES = 10
const MOST_WORK_MS = 3000

/** Resolves when they have left and what they had begun is over. */
export async function beWorkers(options: WorkersOptions): Promise<void> {
  const works = new Set<Promise<void>>()
  const begin = (work: Work): void => {
    const done: Promise<void> = doWork(work, options).finally(() => works.delete(done))
    works.add(done)
  }
  await Promise.all([pull(options, begin), accept(options, begin)])
  await Promise.all(works)
}

async function pull({ api, keeper, left }: WorkersOptions, begin: (work: Work) => void): Promise<void> {
  while (!left.aborted) {
    const reply = await api.send({ method: 'POST', path: `/claim/${PULLED}?limit=5&lease=${LEASE_SECONDS}&wait=1` })
    if (typeof reply !== 'object' || reply.status !== 200) {
      if (typeof reply === 'object' && reply.status !== 503) keeper.noteWrong(`a claim was answered with ${reply.status}`)
      await setTimeout(PULL_EVERY_MS)
      continue
    }
    for (const task of reply.body['tasks'] as WireTask[]) {
      const work = { key: keyOfTask(task), runId: task.run_id, attempt: task.attempts }
      keeper.noteGiven({ ...work, at: Date.now() })
      begin(work)
    }
  }
}

async function accept({ receiver, left }: WorkersOptions, begin: (work: Work) => void): Promise<void> {
  while (!left.aborted) {
    for (const { key, runId, attempt } of await receiver.ask('takeAccepted')) begin({ key, runId, attempt })
    await setTimeout(LOOK_EVERY_MS)
  }
}

async function doWork(work: Work, { seed, commands, silentUntil }: WorkersOptions): Promise<void> {
  const random = new Random(seed, 'work', work.key, work.attempt)
  await setTimeout(random.int(0, MOST_WORK_MS))
  const end = random.weighted([
    [8, 'successful'],
    [2, 'failed'],
    [1, 'running'],
    [1, 'silent'],
  ] as const)
  if (end === 'silent' && Date.now() < silentUntil) return
  if (end === 'running') {
    await say(commands, work, 'running')
    await setTimeout(random.int(0, MOST_WORK_MS))
  }
  await say(commands, work, end === 'failed' ? 'failed' : 'successful')
}

async function say(commands: Commands, work: Work, status: string): Promise<void> {
  for (let tries = 0; tries < MOST_TRIES; tries += 1) if (await commands.acknowledge(work.key, work, status)) return
}
