import { expect, it } from 'vitest'
import { formatBlock, pickEvents } from '../../src/api/events/event-block.ts'
import { pendingTask } from '../../src/domain/task/task.ts'
import { aTask } from '../support/a-task.ts'

it('changes that cannot be read are an event for every listener, whatever the filter', () => {
  const task = pendingTask(aTask(), { created: 0, now: 0 })
  const block = formatBlock(
    0,
    [
      { id: 7, first: 3 },
      { id: 8, kind: 'created', at: 0, task },
    ],
    { timeout: 15, expectedStatus: 200 },
  )
  const text = pickEvents(block, 0, { kinds: new Set(['failed']), names: 'other' }).toString()
  expect(text).toBe('id: 7\nevent: missed\ndata: {"error":"the stored changes 3 to 7 cannot be read"}\n\n')
  expect(block.last).toBe(8)
})
