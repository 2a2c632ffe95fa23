/** A node that has no descriptor left: its calls wait, nothing is used up, and it says so. */
import { Agent } from 'node:http'
import { join } from 'node:path'
import got from 'got'
import { expect, test } from 'vitest'
import { limitDescriptors } from '../support/disk-limit.ts'
import { Program, keyOf, temporaryFolder } from '../support/program.ts'
import { startReceiver } from '../support/receiver.ts'

test.runIf(process.platform === 'linux')('a node without descriptors makes no call, and makes it when it has some again', async () => {
  using folder = temporaryFolder()
  const receiver = await startReceiver()
  const program = await new Program(join(folder.path, 'callme.db')).started()
  // One connection, so that a node that can take no other one still answers.
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const ask = async (path: string, task?: object) => {
    const options = { agent: { http: agent }, throwHttpErrors: false, retry: { limit: 0 }, responseType: 'json' } as const
    const { statusCode, body } = await got(program.url + path, { ...options, ...(task !== undefined && { method: 'PUT', json: task }) })
    return { status: statusCode, body: body as Record<string, unknown> }
  }
  // Without a descriptor the thread for calls cannot start, and later no connection can. What is open stays open, such as that of these requests.
  for (const what of ['thread', 'EMFILE']) {
    await ask('/health')
    limitDescriptors(program.pid, 0)
    const stored = await ask(`/task/without-${what}`, { trigger_at: '+0m', callback: receiver.url, delivery: 'at_most_once' })
    let ready = await ask('/ready')
    while (!String(ready.body['error']).includes(what)) ready = await ask('/ready')
    expect([ready.status, program.lines.at(-1)]).toMatchObject([503, { event: 'node.short' }])
    limitDescriptors(program.pid, 1024)
    const task = await program.taskIn(keyOf(stored.body), 'successful', 'failed', 'skipped')
    expect(task).toMatchObject({ task_state: 'successful', attempts: 1 })
  }
  expect(receiver.requests).toHaveLength(2)
  agent.destroy()
  await program.kill()
  await receiver.close()
})
