/** A node that has no descriptor left: its calls wait, nothing is used up, and it says so. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { limitDescriptors } from '../support/disk-limit.ts'
import { Program, keyOf, temporaryFolder } from '../support/program.ts'
import { startReceiver } from '../support/receiver.ts'

test.runIf(process.platform === 'linux')('a node without descriptors makes no call, and makes it when it has some again', async () => {
  using folder = temporaryFolder()
  const receiver = await startReceiver()
  const program = await new Program(join(folder.path, 'callme.db')).started()
  const put = async (name: string): Promise<string> => {
    const task = { trigger_at: '+0m', callback: receiver.url, delivery: 'at_most_once' }
    return keyOf((await program.json(`/task/${name}`, { method: 'PUT', body: JSON.stringify(task) })).body)
  }
  await program.taskIn(await put('before'), 'successful')
  // What is open stays open, the connection of these requests too.
  limitDescriptors(program.pid, 0)
  const key = await put('during')
  await program.logged('node.short')
  expect(await program.json('/ready')).toMatchObject({ status: 503, body: { error: expect.stringContaining('EMFILE') as string } })
  limitDescriptors(program.pid, 1024)
  expect(await program.taskIn(key, 'successful', 'failed', 'skipped')).toMatchObject({ task_state: 'successful', attempts: 1 })
  expect(receiver.requests).toHaveLength(2)
  expect(program.lines.filter(({ event }) => event === 'node.short')).toHaveLength(1)
  await program.kill()
  await receiver.close()
})
