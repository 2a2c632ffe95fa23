/** A store file that is deleted under a running callme: nothing is promised any more, and nothing is called. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Program, temporaryFolder } from '../support/program.ts'
import { startReceiver } from '../support/receiver.ts'

test('after its file was deleted callme answers 503 with the reason, calls nothing, and lives, so that the file can be saved', async () => {
  using folder = temporaryFolder()
  const store = join(folder.path, 'callme.db')
  const receiver = await startReceiver()
  const program = await new Program(store).started()
  const put = (trigger_at: string) =>
    program.json('/task/a', { method: 'PUT', body: JSON.stringify({ trigger_at, callback: receiver.url, payload: trigger_at }) })
  expect((await put('+1h')).status).toBe(201)
  rmSync(store)
  for (const answer of [await put('+0m'), await program.json('/ready'), await program.json('/task/a')]) {
    expect(answer.status).toBe(503)
    expect(answer.body['error']).toContain(`${store} is not the file any more that it opened: it was deleted or replaced`)
  }
  expect((await program.json('/health')).status).toBe(200)
  expect(receiver.requests).toEqual([])
  await program.kill()
  await receiver.close()
})
