/** The limits of handlers while several nodes race for their tasks: used up to the last place, and never exceeded. */
import fc from '../support/fast-check.ts'
import { expect, test } from 'vitest'
import { aTask } from '../support/a-task.ts'
import { aClaim, claimAll, DUE, expectCountsToAddUp, finishAll, putHandler } from './contract/support/tasks.ts'
import { openNodes } from './support/postgres-nodes.ts'

const HANDLERS = ['a', 'b', 'c'].map((name) => `${name}*`)
const COUNT = 14
/** A rate is counted by whole seconds, so a place comes back after 61 of them at the latest. */
const PLACE_MS = 61_000

const limits = fc.record({
  concurrency: fc.integer({ min: 1, max: 6 }),
  rate: fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined }),
})

test('concurrency and rate of each handler are used up and not exceeded, however three nodes race', async () => {
  // A claim must see what was committed while it waited for the lock, whatever isolation the database gives by default.
  const { nodes, database } = await openNodes({ isHostile: true })
  await fc.assert(
    fc.asyncProperty(fc.tuple(limits, limits, limits), fc.array(fc.nat(4), { minLength: 4, maxLength: 8 }), async (definitions, ends) => {
      const byHandler = new Map(HANDLERS.map((name, n) => [name, definitions[n] ?? { concurrency: 1, rate: undefined }]))
      for (const [n, [name, { concurrency, rate }]] of [...byHandler].entries())
        await putHandler(nodes[(n % 3) as 0], name, { concurrency, ...(rate !== undefined && { rate }) })
      const left = new Map(HANDLERS.map((name) => [name, COUNT]))
      const tasks = HANDLERS.flatMap((name) =>
        Array.from({ length: COUNT }, (_, n) =>
          aTask({ name: `${name[0] ?? ''}${n}`, host: `host-${n % 3}.test`, definition: { max_delay: 525_600 } }),
        ),
      )
      await nodes[1].put(tasks, { now: DUE - 9 })
      const started = new Map(HANDLERS.map((name) => [name, 0]))
      for (const [turn, end] of ends.entries()) {
        // Each place of a rate that was taken comes back at the fourth turn.
        const now = DUE + (turn < 4 ? turn : PLACE_MS + turn)
        if (turn === 4) for (const name of HANDLERS) started.set(name, 0)
        const running = await nodes[0].list({ states: ['running'] }, { limit: 1000 })
        const shares = await Promise.all(nodes.map((store, n) => store.claimDue(aClaim({ now, node: `node-${n}`, limit: 30 }))))
        const claimed = shares.flatMap((share) => share.tasks)
        for (const [name, { concurrency, rate = Infinity }] of byHandler) {
          const of = (all: readonly { name: string }[]) => all.filter((task) => task.name.startsWith(name[0] ?? '')).length
          const room = Math.min(concurrency - of(running.tasks), rate - (started.get(name) ?? 0), left.get(name) ?? 0)
          expect(of(claimed), `turn ${turn}: ${name} has room for ${room}`).toBe(room)
          started.set(name, (started.get(name) ?? 0) + room)
          left.set(name, (left.get(name) ?? 0) - room)
        }
        const ended = [...running.tasks, ...claimed].slice(0, end)
        await Promise.all(
          nodes.map((store, n) =>
            finishAll(
              store,
              ended.filter((_, index) => index % 3 === n),
              now,
            ),
          ),
        )
      }
      for (const store of nodes) await expectCountsToAddUp(store)
      for (const name of HANDLERS) await nodes[2].removeHandler(name, { force: true })
      await finishAll(nodes[0], (await nodes[0].list({ states: ['running'] }, { limit: 1000 })).tasks, DUE)
      await nodes[1].remove({}, { now: DUE, limit: 1000 })
    }),
    { numRuns: 8, endOnFailure: true },
  )
  expect(await claimAll(nodes[0])).toEqual([])
  // Two nodes that waited for each other would lose a second each time.
  const deadlocks = 'SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()'
  expect(await database.query(deadlocks)).toEqual([{ deadlocks: 0 }])
})
