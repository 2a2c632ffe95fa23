/** Templates and alerts on the real program, as a receiver and a chat get them. */
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { Program, keyOf, temporaryFolder } from '../support/program.ts'
import { startReceiver } from '../support/receiver.ts'

test('a handler has its tasks called by a template, and a chat hears of each that fails, whatever its handler', async () => {
  const folder = temporaryFolder()
  const receiver = await startReceiver({ status: 410 })
  const env = { CALLME_ON_FAILURE: `${receiver.url}/chat`, CALLME_ON_FAILURE_PAYLOAD: '{"text": "{name} {state}: {error}", "n": 1.0}' }
  const program = new Program(join(folder.path, 'callme.db'), [], env)
  onTestFinished(async () => {
    await program.kill()
    await receiver.close()
    folder[Symbol.dispose]()
  })
  receiver.answer('/chat', {})
  await program.started()
  const put = (path: string, body: object) => program.json(path, { method: 'PUT', body: JSON.stringify(body) })

  const template = {
    callback: `${receiver.url}/mail/{id}?key={name}@{minute}&n={attempt}`,
    callback_method: 'POST',
    payload: { to: '{id}' },
  }
  expect((await put('/handler/mail.*', template)).status).toBe(201)
  const stored = await put(`/task/mail.${encodeURIComponent('ann"é')}`, { trigger_at: '+0m' })
  const key = encodeURIComponent(keyOf(stored.body)).replace('%40', '@')
  const [call, alert] = await receiver.waitFor(2)
  expect(call).toMatchObject({ method: 'POST', url: `/mail/ann%22%C3%A9?key=${key}&n=1`, body: '{"to":"ann\\"é"}' })
  expect(alert).toMatchObject({ method: 'POST', url: '/chat', headers: { 'content-type': 'application/json' } })
  expect(alert?.body).toBe('{"text": "mail.ann\\"é failed: answered 410, expected 200", "n": 1.0}')

  await put('/task/other', { trigger_at: '+0m', callback: `${receiver.url}/{name}`, error_payload: '{name} {status}' })
  const [, , other, second] = await receiver.waitFor(4)
  expect([other?.url, second?.url, second?.body]).toEqual(['/%7Bname%7D', '/chat', 'other 410'])
  expect(second?.headers['content-type']).toBeUndefined()
})
