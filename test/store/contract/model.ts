/** A model-based run: random sequences of writes against a store and against a Map, compared row by row after every step. */
import fc, { runs } from '../../support/fast-check.ts'
import { expect } from 'vitest'
import { TASK_STATES } from '../../../src/domain/task/task.ts'
import type { Task } from '../../../src/domain/task/task.ts'
import type { Store } from '../../../src/store/store.ts'
import { area } from './support/area.ts'
import type { OpenStore } from './support/area.ts'
import { DUE, inOrder, keyOf, keysOf, listAll } from './support/tasks.ts'
import { CLAIM_COMMANDS } from './support/model-claims.ts'
import { TASK_COMMANDS } from './support/model-tasks.ts'

export interface Model {
  now: number
  readonly rows: Map<string, Task>
  /** run id and number of each attempt that was recorded, by key, oldest first */
  readonly attempts: Map<string, string[]>
  /** every task that was ever claimed, as it was handed out */
  readonly claimed: Task[]
}

export interface Real {
  store: Store
  readonly opened: OpenStore
}

export type Step = (model: Model, store: Store) => Promise<void>

const STEPS = 120

export default area('a model', (test, open) => {
  test('of a Map holds the same rows, attempts, counts and pages after every step', async () => {
    const commands = fc.commands([...CLAIM_COMMANDS, ...TASK_COMMANDS].map(toCommand).concat(reopening), {
      maxCommands: STEPS,
      size: 'max',
    })
    await fc.assert(
      fc.asyncProperty(commands, async (steps) => {
        const opened = await open()
        const model: Model = { now: DUE, rows: new Map(), attempts: new Map(), claimed: [] }
        try {
          await fc.asyncModelRun(() => ({ model, real: { store: opened.store, opened } }), steps)
        } finally {
          await opened.dispose()
        }
      }),
      { numRuns: runs({ gate: 4, night: 30 }) },
    )
  })
})

/** A step and how it is shown in the report of a failure. */
export interface NamedStep {
  readonly text: string
  readonly step: Step
}

function toCommand(steps: fc.Arbitrary<NamedStep>): fc.Arbitrary<fc.AsyncCommand<Model, Real>> {
  return steps.map(({ text, step }) => ({
    check: () => true,
    run: async (model, { store }) => {
      await step(model, store)
      await expectSame(model, store)
    },
    toString: () => text,
  }))
}

const reopening: fc.Arbitrary<fc.AsyncCommand<Model, Real>> = fc.constant({
  check: () => true,
  run: async (model, real) => {
    real.store = await real.opened.reopen()
    await expectSame(model, real.store)
  },
  toString: () => 'reopen',
})

async function expectSame(model: Model, store: Store): Promise<void> {
  const expected = [...model.rows.values()].sort(inOrder)
  expect(await listAll(store)).toEqual(expected)
  const counts = TASK_STATES.map((state) => [state, expected.filter((task) => task.state === state).length] as const)
  expect(await store.counts()).toEqual(Object.fromEntries(counts))
  const failures = expected.filter(({ state }) => state === 'failed' || state === 'skipped')
  expect(keysOf(await listAll(store, { states: ['failed', 'skipped'] }, 1 + (expected.length % 3)))).toEqual(keysOf(failures))
  for (const task of expected) {
    const attempts = (await store.history(task)).map(({ runId, number }) => `${runId} ${number}`)
    // The clock goes back now and then, so the order of two runs is not that of their times.
    expect(byRun(attempts)).toEqual(byRun(model.attempts.get(keyOf(task)) ?? []))
  }
}

function byRun(attempts: readonly string[]): Partial<Record<string, string[]>> {
  return Object.groupBy(attempts, (attempt) => attempt.slice(0, attempt.indexOf(' ')))
}
