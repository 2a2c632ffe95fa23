/** A task whose one call is refused, and the calls that tell of it. */
import type { TaskDefinition } from '../../src/domain/task/task.ts'
import { aTask } from './a-task.ts'
import { MINUTE_MS, SchedulerHarness } from './scheduler-harness.ts'
import type { HarnessOptions } from './scheduler-harness.ts'
import type { ScriptedCall } from './scripted-caller.ts'

/** The error callback of the tasks here. */
export const ALARM = 'http://alarm.test/failed'

/** A node at `MINUTE` whose one task was refused with 404: its error callback is under way. */
export async function refused(definition: Partial<TaskDefinition> = {}, options: HarnessOptions = {}): Promise<SchedulerHarness> {
  const harness = new SchedulerHarness({ startAt: MINUTE_MS, ...options })
  await harness.put(aTask({ definition: { error_callback: ALARM, ...definition } }))
  await harness.start()
  harness.caller.only.answer(404, { body: 'no such thing' })
  await harness.clock.advance(0)
  return harness
}

export function callsToAlarm({ caller }: SchedulerHarness): ScriptedCall[] {
  return caller.calls.filter(({ host }) => host === 'alarm.test')
}

/** What a call carries, as JSON. */
export function bodyOf(call: ScriptedCall | undefined): Record<string, unknown> {
  return JSON.parse(call?.request.body ?? '') as Record<string, unknown>
}
