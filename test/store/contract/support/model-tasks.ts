/** The steps of the model-based run that a person takes: put, list, reschedule, run, remove, and the prune. */
import fc from '../../../support/fast-check.ts'
import { expect } from 'vitest'
import { isFinal, pendingTask, TASK_STATES } from '../../../../src/domain/task/task.ts'
import type { Delivery, Task } from '../../../../src/domain/task/task.ts'
import type { TaskKey } from '../../../../src/domain/task/task-key.ts'
import type { Selection } from '../../../../src/store/store.ts'
import { aTask, MINUTE } from '../../../support/a-task.ts'
import { inOrder, keyOf, keysOf, listAll, NEVER_RUN, rescheduleAll } from './tasks.ts'
import { isWaiting, LANES } from './model-claims.ts'
import type { Model, NamedStep } from '../model.ts'

const NAMES = ['a', 'ä', '😀']
const keys = fc.record({ name: fc.constantFrom(...NAMES), triggerAt: fc.integer({ min: -2, max: 2 }).map((n) => MINUTE + n * 60) })
const selections: fc.Arbitrary<Selection> = fc
  .record({
    name: fc.option(fc.constantFrom(...NAMES), { nil: undefined, freq: 1 }),
    states: fc.option(fc.subarray([...TASK_STATES]), { nil: undefined, freq: 1 }),
    from: fc.option(
      fc.integer({ min: -2, max: 2 }).map((n) => MINUTE + n * 60),
      { nil: undefined, freq: 1 },
    ),
    to: fc.option(
      fc.integer({ min: 0, max: 6 }).map((n) => MINUTE + n * 60),
      { nil: undefined, freq: 1 },
    ),
  })
  .map((filters) => Object.fromEntries(Object.entries(filters).filter(([, value]) => value !== undefined)))

const definitions = fc.record({
  retry: fc.nat(2),
  max_delay: fc.constantFrom(1, 10, 60, 60),
  delivery: fc.constantFrom<Delivery>('at_least_once', 'at_least_once', 'at_most_once'),
})
const puts = fc
  .record({
    tasks: fc.array(fc.tuple(keys, definitions, fc.constantFrom(...LANES)), { minLength: 1, maxLength: 4 }),
    ifAbsent: fc.boolean(),
  })
  .map(({ tasks, ifAbsent }): NamedStep => {
    const step: NamedStep['step'] = async (model, store) => {
      const created = tasks.map(([key, definition, lane]) =>
        aTask({ ...key, definition: { ...definition, ...(definition.delivery === 'at_most_once' && { retry: 0 }) }, host: lane }),
      )
      const expected = created.map((task) => {
        const before = model.rows.get(keyOf(task))
        if (before && (ifAbsent || before.state === 'running')) return { status: ifAbsent ? 'exists' : 'running' }
        const fresh = pendingTask(task, { created: before?.created ?? model.now, now: model.now })
        model.rows.set(keyOf(task), fresh)
        return { status: before ? 'replaced' : 'created', task: fresh }
      })
      expect(await store.put(created, { now: model.now, ifAbsent })).toEqual(expected)
    }
    return { text: `put ${ifAbsent ? 'if absent ' : ''}${JSON.stringify(tasks)}`, step }
  })

const runs = keys.map((key): NamedStep => {
  const step: NamedStep['step'] = async (model, store) => {
    const before = model.rows.get(keyOf(key))
    const result = await store.run(key, { now: model.now })
    if (before === undefined || before.state === 'running') {
      expect(result).toBe(before?.state ?? 'unknown')
      return
    }
    const { runId } = result as Task
    const window = {
      dueAt: model.now,
      windowFrom: model.now,
      deadline: model.now + (before.definition.max_delay ?? 10) * 60_000,
      inAdvance: key.triggerAt * 1000 > model.now,
      updated: model.now,
    }
    const { claimedBy, leaseUntil } = before
    const after = isFinal(before.state)
      ? { ...before, ...NEVER_RUN, ...window, runId, claimedBy, leaseUntil, rescheduledTo: null }
      : { ...before, ...window }
    expect(runId === before.runId).toBe(!isFinal(before.state))
    expect(result).toEqual(after)
    model.rows.set(keyOf(key), after)
  }
  return { text: `run ${keyOf(key)}`, step }
})

const reschedules = fc
  .record({
    selection: selections,
    all: fc.boolean(),
    later: fc.integer({ min: -3, max: 5 }),
    limit: fc.integer({ min: 1, max: 5 }),
    dryRun: fc.constantFrom(false, false, true),
  })
  .map(({ later, ...request }): NamedStep => {
    const step: NamedStep['step'] = async (model, store) => {
      const triggerAt = MINUTE + later * 60
      const isTaken = (task: Task) =>
        request.all ? task.state !== 'running' : (task.state === 'failed' || task.state === 'skipped') && task.rescheduledTo === null
      const taken = selected(model, request.selection).filter(isTaken)
      const made = await rescheduleAll(store, { ...request, triggerAt, now: model.now })
      expect(made.map(originOf).sort()).toEqual(keysOf(taken).sort())
      if (!request.dryRun) for (const task of made) applyReschedule(model, task, triggerAt)
    }
    return { text: `reschedule ${JSON.stringify({ later, ...request })}`, step }
  })

const removals = fc.record({ selection: selections, limit: fc.integer({ min: 1, max: 3 }) }).map(({ selection, limit }): NamedStep => {
  const step: NamedStep['step'] = async (model, store) => {
    const removed = selected(model, selection)
      .filter(({ state }) => state !== 'running')
      .slice(0, limit)
    expect(await store.remove(selection, { now: model.now, limit })).toBe(removed.length)
    forget(model, removed)
  }
  return { text: `remove ${JSON.stringify(selection)} ${limit}`, step }
})

const prunes = fc.constantFrom(0, 60_000, 600_000).map((age): NamedStep => {
  const step: NamedStep['step'] = async (model, store) => {
    const old = [...model.rows.values()].filter(({ state, updated }) => isFinal(state) && updated < model.now - age)
    expect(await store.prune({ before: model.now - age, limit: 100 })).toBe(old.length)
    forget(model, old)
  }
  return { text: `prune ${age}`, step }
})

const lists = fc.record({ selection: selections, limit: fc.integer({ min: 1, max: 9 }) }).map(({ selection, limit }): NamedStep => {
  const step: NamedStep['step'] = async (model, store) => {
    expect(await listAll(store, selection, limit)).toEqual(selected(model, selection))
  }
  return { text: `list ${JSON.stringify(selection)} ${limit}`, step }
})

export const TASK_COMMANDS = [puts, puts, puts, runs, reschedules, reschedules, removals, prunes, lists]

function selected(model: Model, { name, states, from = -Infinity, to = Infinity }: Selection): Task[] {
  const isSelected = (task: Task) =>
    (name ?? task.name) === task.name && (states?.includes(task.state) ?? true) && task.triggerAt >= from && task.triggerAt < to
  return [...model.rows.values()].filter(isSelected).sort(inOrder)
}

function forget(model: Model, gone: readonly TaskKey[]): void {
  for (const key of keysOf(gone)) {
    model.rows.delete(key)
    model.attempts.delete(key)
  }
}

function originOf({ name, rescheduledFrom }: Task): string {
  return `${name}@${rescheduledFrom ?? 'nothing'}`
}

/** Takes over what the store has made of one entry, which must be what the rules say. */
function applyReschedule(model: Model, made: Task, triggerAt: number): void {
  const original = model.rows.get(originOf(made)) as Task
  let minute = triggerAt
  const isFree = () =>
    !model.rows.has(keyOf({ name: made.name, triggerAt: minute })) || (isWaiting(original) && minute === original.triggerAt)
  while (!isFree()) minute += 60
  // A time that has come means now.
  const from = triggerAt * 1000 <= model.now ? model.now : minute * 1000
  const deadline = from + (original.definition.max_delay ?? 10) * 60_000
  const window = { dueAt: from, windowFrom: from, deadline, inAdvance: minute * 1000 > from }
  const created = isFinal(original.state) ? model.now : original.created
  const fresh = {
    ...original,
    ...NEVER_RUN,
    ...window,
    triggerAt: minute,
    runId: made.runId,
    created,
    updated: model.now,
    rescheduledFrom: original.triggerAt,
  }
  expect(made).toEqual(fresh)
  if (isFinal(original.state)) {
    model.rows.set(keyOf(original), { ...original, rescheduledTo: minute, updated: model.now })
  } else {
    const attempts = model.attempts.get(keyOf(original))
    forget(model, [original])
    if (attempts) model.attempts.set(keyOf(fresh), attempts)
  }
  model.rows.set(keyOf(fresh), fresh)
}
