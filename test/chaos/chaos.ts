/** One run on one store: real processes, a scene of users and misfortunes, then the testimony of everybody and what the judge says. */
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
import type { FaultTargets } from './faults.ts'
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

/** Misfortunes by the clock, as a seed has them, among users who ask for things all the time. */
export function runChaos(store: StoreKind, { seed, ms, users }: ChaosOptions): Promise<ChaosResult> {
  const plan = planOf(seed, store, ms)
  const scene = async (shared: Scene): Promise<void> => {
    const startedAt = Date.now()
    const options = { ...shared, count: users, endsAt: startedAt + ms }
    await prepare(options)
    const working = beWorkers({ ...shared, silentUntil: startedAt + ms * SILENT_SHARE })
    const going = Promise.all([beUsers(options), carryOut(plan, shared.targets, startedAt)])
    try {
      await Promise.race([going.then(() => rest(options)), working])
    } finally {
      shared.leave()
      await Promise.allSettled([going, working])
    }
  }
  return runScene(store, { seed, nodes: NODES[store], plan }, scene)
}

/** What happens in a run: with whom, and against what. */
export interface Scene extends Omit<UsersOptions, 'count' | 'endsAt'> {
  readonly receiver: Child<ReceiverVerbs>
  readonly targets: FaultTargets
  /** Has users and workers leave. */
  readonly leave: () => void
}

interface SceneOptions extends Pick<ChaosOptions, 'seed'> {
  readonly nodes: number
  /** of each node */
  readonly flags?: readonly string[]
  readonly plan: readonly Fault[]
}

/** Starts a receiver and nodes, has a scene happen, and then has everybody testify and the judge speak. */
export async function runScene(
  store: StoreKind,
  { seed, nodes: count, flags = [], plan }: SceneOptions,
  scene: (shared: Scene) => Promise<void>,
): Promise<ChaosResult> {
  using folder = temporaryFolder()
  await using place = await openPlace(store, join(folder.path, 'callme.db'))
  await using receiver = new Child<ReceiverVerbs>('../../chaos/receiver-process.ts')
  const troubles: Trouble[] = []
  const ended: Exit[] = []
  const onTrouble = (trouble: Trouble): void => void troubles.push(trouble)
  const slotOptions = { storeUrl: place.url, flags, onTrouble, onEnded: (exit: Exit) => void ended.push(exit) }
  await using nodes = new Slots(Array.from({ length: count }, () => new NodeSlot(slotOptions)))
  const { slots } = nodes
  const receiverUrl = await receiver.ask('open', seed)
  await Promise.all(slots.map((slot) => slot.start()))

  const [api, keeper, left] = [new Api(slots), new JournalKeeper(), new AbortController()]
  const targets = { slots, ...place.targets, receiver, seed, onTrouble, left: left.signal }
  const shared = { seed, api, commands: new Commands(api, keeper), keeper, left: left.signal, receiver, receiverUrl, targets }
  try {
    await scene({
      ...shared,
      leave: () => {
        left.abort()
      },
    })
  } finally {
    left.abort()
  }

  const evidence = { journal: keeper.journal, calls: await receiver.ask('calls'), entries: await readEntries(api), troubles }
  const ledger = await readLedger(place.url)
  ended.push(...(await nodes.close()))
  return { store, plan, evidence, ledger, findings: [...judge(evidence), ...endings(ended), ...checkLedger(ledger, evidence.entries)] }
}

/** Resolves when all that was asked for has ended. */
export async function rest(users: Pick<UsersOptions, 'api' | 'keeper'>): Promise<void> {
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
