/** The program as its user meets it: start, schedule, see, redo. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Program, clockWrongBy, keyOf, temporaryFolder } from '../support/program.ts'
import { startReceiver } from '../support/receiver.ts'

test.concurrent('a task is called on its minute, not before it, and its status says what happened', async () => {
  using folder = temporaryFolder()
  const receiver = await startReceiver({ body: 'well done' })
  const program = await new Program(join(folder.path, 'callme.db')).started()

  const stored = await program.json('/task/first', {
    method: 'PUT',
    body: JSON.stringify({ trigger_at: '+1m', callback: `${receiver.url}/run?x=1` }),
  })
  expect(stored.status).toBe(201)
  const [request] = await receiver.waitFor(1)
  const key = keyOf(stored.body)
  const dueAt = Number(key.split('@')[1]) * 1000
  expect(request?.at).toBeGreaterThanOrEqual(dueAt)
  expect(request).toMatchObject({
    method: 'GET',
    url: '/run?x=1',
    headers: { 'callme-task': key, 'callme-attempt': '1', 'callme-max-attempts': '2' },
  })

  const task = await program.taskIn(key, 'successful')
  expect(task).toMatchObject({ attempts: 1, response_status: 200, response_body: 'well done', error: null })
  expect(task['history']).toMatchObject([{ number: 1, status: 200, error: null, run_id: request?.headers['callme-run-id'] }])
  program.signal('SIGTERM')
  expect((await program.exited()).code).toBe(0)
  await receiver.close()
})

test.concurrent('a failed task says why, and a reschedule has it called again as a new run', async () => {
  using folder = temporaryFolder()
  const receiver = await startReceiver({ status: 410, body: 'gone' })
  const program = await new Program(join(folder.path, 'callme.db')).started()
  const definition = { trigger_at: '+0m', callback: `${receiver.url}/run`, callback_method: 'post', payload: { a: [1] } }
  const stored = await program.json('/task/fails', { method: 'PUT', body: JSON.stringify(definition) })
  const failed = await program.taskIn(keyOf(stored.body), 'failed')
  expect(failed).toMatchObject({ attempts: 1, response_status: 410, response_body: 'gone', error: 'answered 410, expected 200' })

  receiver.answer(undefined, { status: 200 })
  const again = await program.json('/reschedule/fails', { method: 'POST', body: '{"trigger_at":"+0m"}' })
  expect(again.body).toMatchObject({ rescheduled: 1 })
  const [, second] = await receiver.waitFor(2)
  expect(second).toMatchObject({ method: 'POST', body: '{"a":[1]}', headers: { 'content-type': 'application/json' } })
  expect(second?.headers['callme-run-id']).not.toBe(failed['run_id'])
  const [copy] = again.body['tasks'] as Record<string, string>[]
  await program.taskIn(`fails@${copy?.['trigger_at'] ?? ''}`, 'successful')
  expect(await program.taskIn(keyOf(stored.body), 'failed')).toMatchObject({ rescheduled_to: `fails@${copy?.['trigger_at'] ?? ''}` })
  await program.kill()
  await receiver.close()
})

test.concurrent(
  'what was missed while the program was away runs at its start if its window is open, and is skipped with the reason if not',
  async () => {
    using folder = temporaryFolder()
    const store = join(folder.path, 'callme.db')
    const receiver = await startReceiver()
    const first = await new Program(store).started()
    const put = (name: string, max_delay: number) =>
      first.json(`/task/${name}`, {
        method: 'PUT',
        body: JSON.stringify({ trigger_at: '+1m', max_delay, callback: `${receiver.url}/${name}` }),
      })
    const [open, closed] = await Promise.all([put('open', 60), put('closed', 1)])
    await first.kill()

    // Two minutes pass: the second life of the program begins with its clock ahead.
    const second = await new Program(store, [], clockWrongBy(120_000)).started()
    expect(await second.taskIn(keyOf(open.body), 'successful')).toMatchObject({ attempts: 1 })
    const skipped = await second.taskIn(keyOf(closed.body), 'skipped')
    expect(skipped['error']).toContain('out of time: no call may start at or after')
    expect(receiver.requests.map(({ url }) => url)).toEqual(['/open'])
    await second.kill()
    await receiver.close()
  },
)

test.concurrent('a second program on one file is refused in one sentence, and the first goes on', async () => {
  using folder = temporaryFolder()
  const store = join(folder.path, 'callme.db')
  const first = await new Program(store).started()
  const exit = await new Program(store).exited()
  expect(exit.code).toBe(1)
  expect(exit.stderr).toContain('is in use by another callme')
  expect((await first.json('/ready')).status).toBe(200)
  await first.kill()
  const third = await new Program(store).started()
  await third.kill()
})
