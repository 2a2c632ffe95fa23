/** The store's everyday work as the API and the scheduler ask for it: what the scale bench repeats on stores of different sizes. */
import { outcomeOf } from '../../../src/domain/outcome.ts'
import { minuteOf } from '../../../src/domain/trigger-time.ts'
import type { SqliteStore } from '../../../src/store/sqlite/sqlite-store.ts'
import type { ClaimResult } from '../../../src/store/store.ts'
import { randomTask } from './wide-store.ts'

export interface Operation {
  readonly name: string
  /** made ready each time, and not measured */
  readonly prepare?: (store: SqliteStore) => Promise<unknown>
  readonly run: (store: SqliteStore) => Promise<unknown>
}

/** As many as arrive together where this many connections write. */
const GROUP = 64
/** As many as a node has slots for. */
const SLOTS = 128
const DUE = 1000
const NODE = 'bench'
const LEASE_MS = 60_000
const EXPIRE_BATCH = 500

/** @param randomMinute one of those over which the waiting rows are spread, Unix seconds */
export function everydayOperations(randomMinute: () => number): readonly Operation[] {
  return [
    {
      name: `PUT, ${GROUP} in a group`,
      run: (store) => Promise.all(Array.from({ length: GROUP }, () => store.put([randomTask(randomMinute())], { now: Date.now() }))),
    },
    {
      name: `claim + record of ${DUE}`,
      prepare: (store) => store.put(Array.from({ length: DUE }, () => randomTask(minuteOf(Date.now()))), { now: Date.now() }),
      run: claimAndRecord,
    },
    { name: 'page of 100', run: (store) => store.list({}, { after: { name: 'm', triggerAt: randomMinute() }, limit: 100 }) },
    {
      name: 'tick, nothing due',
      run: (store) => Promise.all([store.expire({ now: Date.now(), limit: EXPIRE_BATCH }), claim(store)]),
    },
  ]
}

async function claimAndRecord(store: SqliteStore): Promise<void> {
  let recorded = 0
  for (let { tasks } = await claim(store); tasks.length > 0; { tasks } = await claim(store)) {
    const now = Date.now()
    const result = { kind: 'answered', startedAt: now - 1, endedAt: now, status: 200, body: 'ok' } as const
    await Promise.all(tasks.map((task) => store.record([outcomeOf(task, result, NODE, now, 0)])))
    recorded += tasks.length
  }
  if (recorded !== DUE) throw new Error(`${recorded} tasks were claimed and recorded, ${DUE} were due`)
}

function claim(store: SqliteStore): Promise<ClaimResult> {
  const now = Date.now()
  const limits = { limit: SLOTS, lanes: new Map(), roomOfNewLane: SLOTS, unprovenLimit: SLOTS }
  return store.claimDue({ now, node: NODE, leaseUntil: now + LEASE_MS, ...limits })
}
