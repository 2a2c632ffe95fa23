/** Entries of a store around `MINUTE`, written and read as name and minute: `a@2` is that of `a` two minutes after. */
import type { TaskDefinition } from '../../src/domain/task/task.ts'
import { MINUTE, aTask } from './a-task.ts'
import type { Api } from './open-api.ts'

/** Stores entries of a name that wait for these minutes after `MINUTE`. */
export async function storePending(
  { store, clock }: Api,
  name: string,
  minutes: number[],
  definition: Partial<TaskDefinition> = {},
): Promise<void> {
  await store.put(
    minutes.map((minute) => aTask({ name, triggerAt: MINUTE + minute * 60, definition })),
    { now: clock.now() },
  )
}

/** All entries in the order of a list. */
export async function storedEntries({ store }: Api): Promise<string[]> {
  const { tasks } = await store.list({}, { limit: 1000 })
  return tasks.map((task) => `${task.name}@${(task.triggerAt - MINUTE) / 60}`)
}
