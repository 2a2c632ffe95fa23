/**
 * One scripted misfortune for each store, with real processes. It goes on by what happens and not by the clock, and the judge of chaos
 * looks at the end of it. Misfortunes by the clock, as chance has them, come each night (`npm run chaos`).
 */
import { expect, it } from 'vitest'
import { Random } from '../simulation/random.ts'
import { IN_WINDOW, WINDOW } from '../support/nodes.ts'
import { rest, runScene } from './chaos.ts'
import type { Scene } from './chaos.ts'
import { SERIES, aTask } from './definitions.ts'
import { befall } from './faults.ts'
import type { StoreKind } from './plan.ts'
import { describeResult } from './report.ts'
import { prepare } from './users.ts'
import { beWorkers } from './workers.ts'

const SEED = 7
const TASKS = 40
/** What was lost with its node is called again when its lease is over. */
const TIMEOUT_MS = 300_000

it.concurrent(
  'SQLite: a node that is killed in the middle of calls, and again when a series comes, keeps every promise',
  () =>
    expectPromisesKept('sqlite', 1, async (scene) => {
      const { receiver, targets } = scene
      await receiver.ask('hold')
      await put(scene, 'before')
      await receiver.ask('holds', WINDOW)
      await Promise.all([befall({ does: 'kill', node: 0, lasts: 0 }, targets), put(scene, 'meanwhile')])
      await receiver.ask('release')
      await put(scene, 'after')

      await receiver.ask('hold', SERIES)
      await receiver.ask('holds', SERIES.length)
      await befall({ does: 'kill', node: 0, lasts: 0 }, targets)
      await receiver.ask('release')
    }),
  TIMEOUT_MS,
)

it.concurrent(
  'PostgreSQL: one of two nodes that is killed in the middle of calls, and a database that crashes as they end, break no promise',
  () =>
    expectPromisesKept('postgres', 2, async (scene) => {
      const { receiver, targets } = scene
      await receiver.ask('hold')
      await put(scene, 'before')
      await receiver.ask('holds', 2 * WINDOW)
      await Promise.all([befall({ does: 'kill', node: 0, lasts: 0 }, targets), put(scene, 'meanwhile')])
      const crash = befall({ does: 'crash the database', lasts: 500 }, targets)
      await Promise.all([crash, receiver.ask('release'), put(scene, 'in the crash')])
      await put(scene, 'after')
    }),
  TIMEOUT_MS,
)

async function expectPromisesKept(store: StoreKind, nodes: number, misfortune: (scene: Scene) => Promise<void>): Promise<void> {
  const result = await runScene(store, { seed: SEED, nodes, flags: IN_WINDOW, plan: [] }, async (scene) => {
    await prepare(scene)
    const working = beWorkers({ ...scene, silentUntil: 0 })
    try {
      await misfortune(scene)
      await rest(scene)
    } finally {
      scene.leave()
      await working
    }
  })
  if (result.findings.length > 0) expect.fail(describeResult(result))
  // Else it was not in the middle of anything.
  expect(result.ledger.lost_attempts).toBeGreaterThan(0)
  expect(result.evidence.calls.length).toBeGreaterThan(TASKS)
}

/** Tasks of every kind that are due at once, with one request for half of them, and with one for each of the others. */
async function put({ commands, keeper, receiverUrl }: Scene, when: string): Promise<void> {
  const random = new Random(SEED, when)
  const tasks = Array.from({ length: TASKS }, (_, n) => aTask(random, `${when.replaceAll(' ', '-')}-${n}`, receiverUrl))
  for (const { name, wanted } of tasks) keeper.want(name, wanted)
  const half = tasks.splice(TASKS / 2)
  await commands.putMany(half.map(({ name, body }) => ({ task_name: name, trigger_at: '+0m', ...body })))
  await Promise.all(tasks.map(({ name, body }) => commands.put(name, { trigger_at: '+0m', ...body }, { isNew: true })))
}
