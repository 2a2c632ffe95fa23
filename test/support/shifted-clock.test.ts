import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Program, clockWrongBy, keyOf, temporaryFolder } from './program.ts'
import { startReceiver } from './receiver.ts'

const DAY_MS = 86_400_000

test('a program whose clock is wrong sees the wrong time in every thread', async () => {
  using folder = temporaryFolder()
  const receiver = await startReceiver()
  const program = await new Program(join(folder.path, 'callme.db'), [], clockWrongBy(-DAY_MS)).started()
  const body = JSON.stringify({ trigger_at: '+0m', callback: receiver.url })
  const stored = await program.json('/task/yesterday', { method: 'PUT', body })
  const task = await program.taskIn(keyOf(stored.body), 'successful')
  const [{ start: called }] = task['history'] as [{ start: string }]
  const [{ time: logged }] = program.lines as unknown as [{ time: string }]
  for (const time of [task['created'] as string, called, logged]) {
    expect(Math.abs(Date.now() - DAY_MS - Date.parse(time))).toBeLessThan(DAY_MS / 2)
  }
  await program.kill()
  await receiver.close()
})
