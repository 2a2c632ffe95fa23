/** Listeners of any node on one PostgreSQL are told of what all nodes do, in one order. */
import { expect, test } from 'vitest'
import { startNodes } from '../support/nodes.ts'
import type { Nodes } from '../support/nodes.ts'
import { createDatabase } from '../support/postgres.ts'
import { startReceiver } from '../support/receiver.ts'
import { openEvents } from '../support/sse.ts'
import type { EventReader } from '../support/sse.ts'

const TASKS = 300
const CHANGES = ['created', 'processing', 'completed']

test('a listener of each node is told of every change of all nodes once and in the same order, and goes on where it was at another node', async () => {
  await using database = await createDatabase()
  await using nodes = await startNodes(database.url, 3)
  const [first, second, third] = await listenToEach(nodes)
  const receiver = await startReceiver()
  const putAll = (name: string) =>
    Promise.all(Array.from({ length: TASKS }, (_, n) => nodes.put(`${name}-${n}`, { callback: receiver.url })))
  await putAll('early')
  for (const reader of [first, second, third]) await reader.have(TASKS * CHANGES.length)
  const told = wordsOf(first)
  expect(wordsOf(second)).toEqual(told)
  expect(wordsOf(third)).toEqual(told)
  expectEachOnceAndInOrder(first, TASKS)

  first.close()
  const half = first.events[told.length / 2]?.id ?? ''
  const [, other] = nodes.programs
  const resumed = await openEvents(other?.port ?? 0, { lastEventId: half })
  const joined = await openEvents((await nodes.join()).port, { lastEventId: 0 })
  await putAll('late')
  for (const reader of [second, third, joined]) await reader.have(2 * TASKS * CHANGES.length)
  await resumed.until(() => resumed.ids.at(-1) === second.ids.at(-1))
  expectEachOnceAndInOrder(second, 2 * TASKS)
  expect(wordsOf(third)).toEqual(wordsOf(second))
  expect(wordsOf(joined)).toEqual(wordsOf(second))
  expect(wordsOf(resumed)).toEqual(wordsOf(second).slice(told.length / 2 + 1))
  for (const reader of [second, third, joined, resumed]) reader.close()
  await nodes.leaveAll()
  await receiver.close()
})

async function listenToEach(nodes: Nodes): Promise<[EventReader, EventReader, EventReader]> {
  return (await Promise.all(nodes.programs.map(({ port }) => openEvents(port)))) as [EventReader, EventReader, EventReader]
}

/** All that a listener was told, but for what a task looks like. */
function wordsOf({ events }: EventReader): string[] {
  return events.map(({ id, event, data }) => `${id} ${event} ${data.task_name} ${data.run_id} ${data.updated}`)
}

function expectEachOnceAndInOrder({ ids, events }: EventReader, tasks: number): void {
  expect(ids).toEqual([...new Set(ids)].sort((one, other) => one - other))
  const ofTask = Map.groupBy(events, ({ data }) => data.task_name)
  expect(ofTask.size).toBe(tasks)
  for (const [name, changes] of ofTask)
    expect(
      changes.map(({ event }) => event),
      name,
    ).toEqual(CHANGES)
}
