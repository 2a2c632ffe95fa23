/** A disk that is full: refused with 503, nothing lost or invented, and it goes on by itself when there is room again. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { limitFileSize } from '../support/disk-limit.ts'
import { Program, keyOf, temporaryFolder } from '../support/program.ts'
import { startReceiver } from '../support/receiver.ts'

function put(program: Program, name: string, definition: Record<string, unknown>) {
  return program.json(`/task/${name}`, { method: 'PUT', body: JSON.stringify(definition) })
}

test('while the disk is full writes get 503 with Retry-After and /ready says so; then everything goes on', async () => {
  using folder = temporaryFolder()
  const store = join(folder.path, 'callme.db')
  let finish: () => void = () => undefined
  const receiver = await startReceiver((response) => (finish = () => response.end('saved late')))
  const program = await new Program(store).started()
  const calling = await put(program, 'calling', { trigger_at: '+0m', callback: receiver.url })
  await receiver.waitFor(1)

  expect(limitFileSize(program.pid, statSync(`${store}-wal`).size)).toBe(true)
  const refused = await put(program, 'refused', { trigger_at: '+1h', callback: receiver.url })
  expect(refused.status).toBe(503)
  expect(refused.body['error']).toContain('the store does not answer')
  expect(
    (
      await fetch(`${program.url}/task/refused`, { method: 'PUT', body: JSON.stringify({ trigger_at: '+1h', callback: receiver.url }) })
    ).headers.get('retry-after'),
  ).toMatch(/^\d+$/)
  expect((await program.json('/ready')).status).toBe(503)
  expect((await program.json('/health')).status).toBe(200)
  finish()
  await program.logged('record.failed')
  expect((await program.json(`/task/${keyOf(calling.body)}`)).body).toMatchObject({ tasks: [{ task_state: 'running' }] })
  expect((await program.json('/task/refused')).status).toBe(404)

  expect(limitFileSize(program.pid, 'unlimited')).toBe(true)
  expect(await program.taskIn(keyOf(calling.body), 'successful')).toMatchObject({ attempts: 1, response_body: 'saved late' })
  expect((await put(program, 'refused', { trigger_at: '+1h', callback: receiver.url })).status).toBe(201)
  expect((await program.json('/ready')).status).toBe(200)
  expect(receiver.requests).toHaveLength(1)
  await program.kill()
  await receiver.close()
})
