/** The history of a world before it happens: what its users and its misfortunes will do, and when. A part of it is a history too. */
import { DAMAGES } from './damages.ts'
import { HOSTS, NAMES, NOT_REPEATING, PATTERNS, aBody, aHandler, aSeries } from './definitions.ts'
import type { Body, HandlerBody } from './definitions.ts'
import { MOODS } from './network.ts'
import type { Mood } from './network.ts'
import { Random } from './random.ts'

/** `of` is the number of the decision that has put the entry which is meant. */
export type Action =
  | { readonly do: 'put'; readonly name: string; readonly body: Body; readonly ifAbsent: boolean }
  | { readonly do: 'put many'; readonly tasks: readonly (readonly [name: string, body: Body])[] }
  | { readonly do: 'put crowd'; readonly hosts: number }
  | { readonly do: 'run'; readonly of: number; readonly remove: boolean }
  | { readonly do: 'delete'; readonly of: number }
  | { readonly do: 'delete all'; readonly name: string; readonly states: string }
  | { readonly do: 'reschedule'; readonly of: number; readonly minutes: number; readonly all: boolean }
  | { readonly do: 'reschedule all'; readonly name: string; readonly minutes: number; readonly all: boolean; readonly dry: boolean }
  | { readonly do: 'handler'; readonly name: string; readonly body: HandlerBody; readonly force: boolean }
  | { readonly do: 'no handler'; readonly name: string; readonly force: boolean }
  | { readonly do: 'ack'; readonly of: number; readonly attempt: number; readonly status: 'successful' | 'failed' | 'running' }
  | { readonly do: 'pull'; readonly limit: number; readonly lease: number; readonly wait: number }
  | { readonly do: 'walk'; readonly limit: number; readonly path: string; readonly pauseMs: number }
  | { readonly do: 'look'; readonly of: number }
  | { readonly do: 'mood'; readonly host: string; readonly mood: Mood; readonly ms: number }
  | { readonly do: 'crash'; readonly turns: number; readonly downMs: number }
  | { readonly do: 'stop'; readonly graceMs: number; readonly downMs: number }
  | { readonly do: 'jump'; readonly ms: number }
  | { readonly do: 'stand still'; readonly ms: number }
  | { readonly do: 'freeze'; readonly ms: number }
  | { readonly do: 'refuse'; readonly ms: number; readonly share: number; readonly aborts: boolean }
  | { readonly do: 'stall'; readonly ms: number }
  /** `how` is the number of one of the damages */
  | { readonly do: 'damage'; readonly of: number; readonly how: number }

export type Decision = Action & {
  readonly id: number
  /** ms after the beginning of the world */
  readonly at: number
}

const DAY_MS = 86_400_000
const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const SCENES_A_DAY = 4
const MOST_SCENE_MS = 25 * MINUTE_MS
const MOST_IN_SCENE = 24
/** A few, because each takes as long as the rest of a day. */
const CROWDS = 0.2
/** How far back a user remembers what was put. */
const REMEMBERED = 12

/** Users come in scenes, so that what they do meets; between these only time passes. */
export function decide(seed: number, days: number): Decision[] {
  const random = new Random(seed, 'decisions')
  const times = Array.from({ length: Math.ceil(days * SCENES_A_DAY) }, () => {
    const start = random.int(MINUTE_MS, days * DAY_MS)
    const length = random.int(4, MOST_IN_SCENE)
    const ms = random.pick([MINUTE_MS, 5 * MINUTE_MS, MOST_SCENE_MS])
    return Array.from({ length }, () => start + random.int(0, ms))
  })
  const puts: number[] = []
  const opening = opened(random).map((action, id) => ({ id, at: id * 100, ...action }))
  const rest = times
    .flat()
    .sort((one, other) => one - other)
    .map((at, index): Decision => {
      const id = opening.length + index
      const action = act(random, () => (puts.length === 0 ? 0 : random.pick(puts.slice(-REMEMBERED))))
      if (action.do === 'put' || action.do === 'put many') puts.push(id)
      return { id, at: onTheMinute(at, random), ...action }
    })
  return [...opening, ...rest].sort((one, other) => one.at - other.at)
}

/** What is set on a minute meets what is due then. */
function onTheMinute(at: number, random: Random): number {
  return random.chance(0.4) ? Math.ceil(at / MINUTE_MS) * MINUTE_MS + random.int(-3, 3) : at
}

function opened(random: Random): Action[] {
  const series = random.chance(0.7) ? PATTERNS.slice(random.int(0, 1)) : []
  return [
    { do: 'handler', name: 'pulled', body: { ...aHandler(random), pull: true }, force: true },
    { do: 'handler', name: 'mail.*', body: { ...aHandler(random), callback: 'http://mail.test/' }, force: true },
    ...series.map(({ name, repeat }): Action => ({ do: 'put', name, body: aSeries(random, repeat), ifAbsent: true })),
  ]
}

/** @param aPut gives the number of a decision that has put something */
function act(random: Random, aPut: () => number): Action {
  return random.weighted<() => Action>([
    [40, () => ({ do: 'put', ...aTask(random), ifAbsent: random.chance(0.1) })],
    [3, () => ({ do: 'put many', tasks: Array.from({ length: random.int(2, 5) }, () => Object.values(aTask(random)) as [string, Body]) })],
    [CROWDS, () => ({ do: 'put crowd', hosts: random.int(100, 300) })],
    [7, () => ({ do: 'run', of: aPut(), remove: random.chance(0.3) })],
    [4, () => ({ do: 'delete', of: aPut() })],
    [1, () => ({ do: 'delete all', name: random.pick(NOT_REPEATING), states: random.pick(['', 'pending,retrying', 'successful,failed']) })],
    [5, () => ({ do: 'reschedule', of: aPut(), minutes: random.int(0, 5), all: random.chance(0.5) })],
    [3, () => ({ ...{ do: 'reschedule all', name: random.pick(NOT_REPEATING) }, ...aMove(random) })],
    [
      6,
      () => ({
        do: 'handler',
        name: random.pick(['limited', 'limited', 'mail.*', 'mail.b', 'pulled', 'tick-2']),
        body: aHandler(random),
        force: random.chance(0.7),
      }),
    ],
    [1, () => ({ do: 'no handler', name: random.pick(['limited', 'mail.*', 'mail.b', 'tick-2']), force: random.chance(0.7) })],
    [3, () => ({ do: 'ack', of: aPut(), attempt: random.int(1, 2), status: random.pick(['successful', 'failed', 'running']) })],
    [6, () => ({ do: 'pull', limit: random.int(1, 4), lease: random.pick([5, 60, 300]), wait: random.pick([0, 0, 30]) })],
    [
      3,
      () => ({
        do: 'walk',
        limit: random.int(1, 6),
        path: random.pick(['/task/', '/status/', '/task/plain-a']),
        pauseMs: random.pick([0, 0, 500, 20_000]),
      }),
    ],
    [8, () => ({ do: 'look', of: aPut() })],
    ...misfortunes(random, aPut),
  ])()
}

function misfortunes(random: Random, aPut: () => number): [number, () => Action][] {
  return [
    [6, () => ({ do: 'mood', host: random.pick(HOSTS), mood: random.pick(MOODS), ms: random.int(1, 20) * MINUTE_MS })],
    [
      6,
      () => ({
        do: 'crash',
        turns: random.pick([0, 1, 2, 3, 5, 8, 13, 20, 40, 80]),
        downMs: random.pick([10, 10, 3000, 3000, 70_000, 70_000, 15 * MINUTE_MS, 5 * HOUR_MS]),
      }),
    ],
    [2, () => ({ do: 'stop', graceMs: random.pick([0, 1000, 10_000]), downMs: random.pick([10, 3000, 70_000]) })],
    [2, () => ({ do: 'jump', ms: random.pick([-2_700_000, -61_000, -1500, -400, 400, 1500, 61_000, 2_700_000]) })],
    [2, () => ({ do: 'stand still', ms: random.pick([3000, 65_000, 20 * MINUTE_MS]) })],
    [2, () => ({ do: 'freeze', ms: random.pick([3000, 20_000, 70_000]) })],
    [
      3,
      () => ({
        do: 'refuse',
        ms: random.pick([10, 1000, 30_000, 150_000]),
        share: random.pick([0.02, 0.2, 1]),
        aborts: random.chance(0.3),
      }),
    ],
    [2, () => ({ do: 'stall', ms: random.pick([500, 4000]) })],
    [3, () => ({ do: 'damage', of: aPut(), how: random.int(0, DAMAGES.length - 1) })],
  ]
}

function aTask(random: Random): { readonly name: string; readonly body: Body } {
  const name = random.pick(NAMES)
  return { name, body: aBody(random, name) }
}

function aMove(random: Random): { readonly minutes: number; readonly all: boolean; readonly dry: boolean } {
  return { minutes: random.int(0, 5), all: random.chance(0.5), dry: random.chance(0.4) }
}
