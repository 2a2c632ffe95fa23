/** The misfortunes of a run, drawn from its seed before it begins: the same seed, store and length give the same plan. */
import { Random } from '../simulation/random.ts'

export type StoreKind = 'sqlite' | 'postgres'

export type Misfortune =
  /** `kill -9`; it is started again when this is over */
  | { readonly does: 'kill'; readonly node: number }
  /** SIGSTOP, then SIGCONT */
  | { readonly does: 'freeze'; readonly node: number }
  /** SIGTERM; it is started again when this is over */
  | { readonly does: 'stop'; readonly node: number }
  /** no file may grow beyond this share of what the write-ahead log holds when it begins */
  | { readonly does: 'fill the disk'; readonly share: number }
  | { readonly does: 'stop the database' }
  | { readonly does: 'crash the database' }
  | { readonly does: 'close the receiver' }

/** `at` and `lasts` in ms, from the beginning of the run. */
export type Fault = Misfortune & { readonly at: number; readonly lasts: number }

export const NODES: Readonly<Record<StoreKind, number>> = { sqlite: 1, postgres: 3 }
const MINUTE_MS = 60_000
/** Longer than the minute of a rate. */
const LONGER_THAN_A_RATE_MS = [65_000, 80_000] as const
const FROZEN_LONG_FROM_MS = 3 * MINUTE_MS
/** The last part of a run is left to what follows from the faults before it. */
const FAULTY_SHARE = 0.85

/** Faults of one node, of the store and of the receiver do not overlap among themselves, and meet those of the others as it comes. */
export function planOf(seed: number, store: StoreKind, ms: number): Fault[] {
  const streams = Array.from({ length: NODES[store] }, (_, node) => faultsOfNode(new Random(seed, store, 'node', node), node, store, ms))
  const ofStore = store === 'sqlite' ? fullDisks : faultsOfDatabase
  streams.push(ofStore(new Random(seed, store, 'store'), ms), closedReceivers(new Random(seed, store, 'receiver'), ms))
  return streams.flat().sort((one, other) => one.at - other.at)
}

export function describeFault(fault: Fault): string {
  const { at, lasts, does } = fault
  const which = 'node' in fault ? ` node ${fault.node}` : ''
  const share = 'share' in fault ? ` to ${Math.round(fault.share * 100)} %` : ''
  return `after ${(at / 1000).toFixed(1)} s, for ${(lasts / 1000).toFixed(1)} s: ${does}${which}${share}`
}

function faultsOfNode(random: Random, node: number, store: StoreKind, ms: number): Fault[] {
  // Of several nodes each fails less often, so that all together fail as often as one.
  const [least, most] = store === 'sqlite' ? [1000, 5000] : [4000, 16_000]
  let longFreezes = ms >= FROZEN_LONG_FROM_MS && store === 'postgres' && node === 0 ? 1 : 0
  return inTurn(random, ms, [least, most], () => {
    if (longFreezes > 0) {
      longFreezes -= 1
      return { does: 'freeze', node, lasts: random.int(...LONGER_THAN_A_RATE_MS) }
    }
    return random.weighted<() => Misfortune & { lasts: number }>([
      [8, () => ({ does: 'kill', node, lasts: random.pick([0, 0, 500, 3000]) })],
      [3, () => ({ does: 'freeze', node, lasts: random.pick([200, 1500, 6000, 20_000]) })],
      [2, () => ({ does: 'stop', node, lasts: random.pick([0, 1000]) })],
    ])()
  })
}

function fullDisks(random: Random, ms: number): Fault[] {
  return inTurn(random, ms, [6000, 20_000], () => ({
    does: 'fill the disk',
    share: random.pick([0, 0.3, 1]),
    lasts: random.int(500, 6000),
  }))
}

function faultsOfDatabase(random: Random, ms: number): Fault[] {
  return inTurn(random, ms, [10_000, 25_000], () => ({
    does: random.pick(['stop the database', 'crash the database'] as const),
    lasts: random.pick([0, 500, 4000, 8000]),
  }))
}

function closedReceivers(random: Random, ms: number): Fault[] {
  return inTurn(random, ms, [8000, 30_000], () => ({ does: 'close the receiver', lasts: random.int(300, 7000) }))
}

/** @param pause from the end of one to the beginning of the next, ms */
function inTurn(random: Random, ms: number, pause: readonly [number, number], next: () => Misfortune & { lasts: number }): Fault[] {
  const faults: Fault[] = []
  for (let at = random.int(...pause); ;) {
    const fault = next()
    if (at + Math.min(fault.lasts, pause[1]) > ms * FAULTY_SHARE) return faults
    faults.push({ at, ...fault })
    at += fault.lasts + random.int(...pause)
  }
}
