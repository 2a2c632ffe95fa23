/** The store's everyday work as the API and the scheduler ask for it: what the scale bench repeats on stores of different sizes. */
import { reportOf } from '../../../src/domain/attempt/attempt-report.ts'
import type { Task } from '../../../src/domain/task/task.ts'
import { minuteOf } from '../../../src/domain/time/trigger-time.ts'
import type { ClaimResult, Store } from '../../../src/store/store.ts'
import type { Reach } from './table.ts'
import { HOSTS, randomHost, randomTask } from './wide-store.ts'

export interface Operation {
  readonly name: string
  /** of a store within the process, where it is not a ratio */
  readonly reach: Reach
  /** made ready each time, and not measured */
  readonly prepare?: (store: Store) => Promise<unknown>
  readonly run: (store: Store, randomMinute: RandomMinute) => Promise<unknown>
}

/** One of the minutes over which the waiting rows of a store are spread, Unix seconds. */
export type RandomMinute = () => number

/** As many as arrive together where this many connections write. */
const GROUP = 64
/** As many as a node has slots for. */
export const SLOTS = 128
const DUE = 1000
const PUT_AFTER_S = 3600
const NODE = 'bench'
const LEASE_MS = 60_000
const EXPIRE_BATCH = 500

const TWICE_THE_EMPTY: Reach = { of: 'ratio', is: 'at most', bound: 2 }

export const EVERYDAY_OPERATIONS: readonly Operation[] = [
  puts('PUT, one alone, minutes at random', (randomMinute) => randomMinute(), 1),
  puts(`PUT, ${GROUP} in a group, minutes at random`, (randomMinute) => randomMinute()),
  puts(`PUT, ${GROUP} in a group, to one minute`, () => minuteOf(Date.now()) + PUT_AFTER_S),
  claims(`claim + record of ${DUE}, one host`, () => 'receiver.test'),
  claims(`claim + record of ${DUE}, ${HOSTS} hosts`, randomHost),
  {
    name: 'page of 100',
    reach: { of: 'median', is: 'at most', bound: 1 },
    run: (store, randomMinute) => store.list({}, { after: { name: 'm', triggerAt: randomMinute() }, limit: 100 }),
  },
  {
    name: 'tick, nothing due',
    reach: { of: 'median', is: 'at most', bound: 0.1 },
    run: (store) => Promise.all([store.expire({ now: Date.now(), limit: EXPIRE_BATCH }), claim(store)]),
  },
]

function puts(name: string, minute: (randomMinute: RandomMinute) => number, count = GROUP): Operation {
  const put = (store: Store, at: number): Promise<unknown> => store.put([randomTask(at)], { now: Date.now() })
  return {
    name,
    reach: TWICE_THE_EMPTY,
    run: (store, randomMinute) => Promise.all(Array.from({ length: count }, () => put(store, minute(randomMinute)))),
  }
}

function claims(name: string, host: () => string): Operation {
  return {
    name,
    reach: TWICE_THE_EMPTY,
    prepare: (store) =>
      store.put(
        Array.from({ length: DUE }, () => randomTask(minuteOf(Date.now()), host())),
        { now: Date.now() },
      ),
    run: claimAndRecord,
  }
}

async function claimAndRecord(store: Store): Promise<void> {
  let recorded = 0
  for (let { tasks } = await claim(store); tasks.length > 0; { tasks } = await claim(store)) {
    await recordSuccess(store, tasks)
    recorded += tasks.length
  }
  if (recorded !== DUE) throw new Error(`${recorded} tasks were claimed and recorded, ${DUE} were due`)
}

/** Claims as many as a node with nothing under way does. */
export function claim(store: Store): Promise<ClaimResult> {
  const now = Date.now()
  const limits = { limit: SLOTS, hosts: new Map(), capacityOfNewHost: SLOTS, unprovenLimit: SLOTS, silentLimit: SLOTS }
  return store.claimDue({ now, node: NODE, leaseUntil: now + LEASE_MS, ...limits })
}

/** Each as the node does whose calls have ended together. */
export async function recordSuccess(store: Store, tasks: readonly Task[]): Promise<void> {
  const now = Date.now()
  const result = { kind: 'answered', startedAt: now - 1, endedAt: now, status: 200, body: 'ok' } as const
  await Promise.all(tasks.map((task) => store.record([reportOf(task, result, NODE, now, 0)])))
}
