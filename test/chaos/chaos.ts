/** One run on one store: real processes, users, misfortunes; then rest, and the testimony of everybody. */
import { join } from 'node:path'
import type { LedgerReport } from '../../src/verify/verify.ts'
import { Child } from '../bench/support/child.ts'
import { startPostgresServer } from '../support/postgres-server.ts'
import { temporaryFolder } from '../support/program.ts'
import type { Exit } from '../support/program.ts'
import { Api } from './api.ts'
import { readEntries, settled } from './collect.ts'
import { Commands } from './commands.ts'
import type { Evidence, Finding, Trouble } from './evidence.ts'
import { carryOut } from './faults.ts'
import { JournalKeeper } from './journal-keeper.ts'
import { judge } from './judge.ts'
import { checkLedger, readLedger } from './ledger.ts'
import { NodeSlot } from './node-slot.ts'
import { NODES, planOf } from './plan.ts'
import type { Fault, StoreKind } from './plan.ts'
import type { ReceiverVerbs } from './receiver-process.ts'
import { beUsers, endSeries, prepare } from './users.ts'
import type { UsersOptions } from './users.ts'
import { beWorkers } from './workers.ts'

export interface ChaosOptions {
  readonly seed: number
  /** how long things go wrong; what was accepted by then is waited for */
  readonly ms: number
  /** how many users there are */
  readonly users: number
}

export interface ChaosResult {
  readonly store: StoreKind
  readonly plan: readonly Fault[]
  readonly evidence: Evidence
  readonly ledger: LedgerReport
  /** none where every promise was kept */
  readonly findings: readonly Finding[]
}

/** The longest window, an acknowledgement that never comes, and an error callback after that. */
const TAIL_MS = 7 * 60_000
/** Nobody leaves work unacknowledged in the last part of a run, or all would wait for it. */
const SILENT_SHARE = 0.7

export async function runChaos(store: StoreKind, options: ChaosOptions): Promise<ChaosResult> {
  using folder = temporaryFolder()
  await using place = await openPlace(store, join(folder.path, 'callme.db'))
  await using receiver = new Child<ReceiverVerbs>('../../chaos/receiver-process.ts')
  const troubles: Trouble[] = []
  const ended: Exit[] = []
  const onTrouble = (trouble: Trouble): void => void troubles.push(trouble)
  const slotOptions = { storeUrl: place.url, onTrouble, onEnded: (exit: Exit) => void ended.push(exit) }
  await using nodes = new Slots(Array.from({ length: NODES[store] }, () => new NodeSlot(slotOptions)))
  const { slots } = nodes
  const receiverUrl = await receiver.ask('open', options.seed)
  await Promise.all(slots.map((slot) => slot.start()))

  const plan = planOf(options.seed, store, options.ms)
  const api = new Api(slots)
  const keeper = new JournalKeeper()
  const startedAt = Date.now()
  const left = new AbortController()
  const shared = { seed: options.seed, api, commands: new Commands(api, keeper), keeper, left: left.signal }
  const users = { ...shared, count: options.users, receiverUrl, endsAt: startedAt + options.ms }
  const targets = { slots, ...place.targets, receiver, seed: options.seed, onTrouble, left: left.signal }
  await prepare(users)
  const working = beWorkers({ ...shared, receiver, silentUntil: startedAt + options.ms * SILENT_SHARE })
  const going = Promise.all([beUsers(users), carryOut(plan, targets, startedAt)])
  try {
    await Promise.race([going.then(() => rest(users)), working])
  } finally {
    left.abort()
    await Promise.allSettled([going, working])
  }

  const evidence = { journal: keeper.journal, calls: await receiver.ask('calls'), entries: await readEntries(api), troubles }
  const ledger = await readLedger(place.url)
  ended.push(...(await nodes.close()))
  return { store, plan, evidence, ledger, findings: [...judge(evidence), ...endings(ended), ...checkLedger(ledger, evidence.entries)] }
}

/** Resolves when all that was asked for has ended. */
async function rest(users: UsersOptions): Promise<void> {
  await endSeries(users)
  await settled(users.api, TAIL_MS)
}

class Slots {
  readonly slots: readonly NodeSlot[]

  constructor(slots: readonly NodeSlot[]) {
    this.slots = slots
  }

  /** @returns those that did not end well */
  async close(): Promise<Exit[]> {
    const exits = await Promise.all(this.slots.map((slot) => slot.close()))
    return exits.filter((exit) => exit !== undefined && exit.code !== 0) as Exit[]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.slots.map((slot) => slot[Symbol.asyncDispose]()))
  }
}

async function openPlace(store: StoreKind, file: string) {
  if (store === 'sqlite') return { url: `sqlite:${file}`, targets: { file }, [Symbol.asyncDispose]: () => Promise.resolve() }
  const database = await startPostgresServer()
  return { url: database.url, targets: { database }, [Symbol.asyncDispose]: () => database[Symbol.asyncDispose]() }
}

function endings(ended: readonly Exit[]): Finding[] {
  return ended.map((exit) => ({ rule: 'answer', detail: `a node ended by itself: ${JSON.stringify(exit).slice(0, 1000)}` }))
}
