/** SIGTERM and SIGINT: calls under way finish, the rest is handed back, nothing is lost. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Program, keyOf, temporaryFolder } from '../support/program.ts'
import { startReceiver } from '../support/receiver.ts'

const put = (program: Program, name: string, callback: string, more = {}) =>
  program.json(`/task/${name}`, { method: 'PUT', body: JSON.stringify({ trigger_at: '+0m', max_delay: 60, callback, ...more }) })

test.concurrent('a call under way at SIGTERM is finished and recorded before the program ends with 0', async () => {
  using folder = temporaryFolder()
  const store = join(folder.path, 'callme.db')
  let finish: () => void = () => undefined
  const receiver = await startReceiver((response) => (finish = () => response.end('finished')))
  const program = await new Program(store).started()
  const stored = await put(program, 'slow', receiver.url)
  await receiver.waitFor(1)
  program.signal('SIGTERM')
  await program.logged('node.stopping')
  finish()
  expect((await program.exited()).code).toBe(0)
  const again = await new Program(store).started()
  expect(await again.taskIn(keyOf(stored.body), 'successful')).toMatchObject({ attempts: 1, response_body: 'finished' })
  await again.kill()
  await receiver.close()
})

test.concurrent('a call that does not end within the shutdown timeout is cut off: made again, or failed where it must not be', async () => {
  using folder = temporaryFolder()
  const store = join(folder.path, 'callme.db')
  const receiver = await startReceiver(() => undefined)
  const program = await new Program(store, ['--shutdown-timeout', '1']).started()
  const twice = await put(program, 'twice', `${receiver.url}/twice`)
  const once = await put(program, 'once', `${receiver.url}/once`, { delivery: 'at_most_once' })
  await receiver.waitFor(2)
  program.signal('SIGINT')
  expect((await program.exited()).code).toBe(0)

  receiver.answer(undefined, {})
  const again = await new Program(store).started()
  expect(await again.taskIn(keyOf(twice.body), 'successful')).toMatchObject({ attempts: 2 })
  expect((await again.taskIn(keyOf(once.body), 'failed'))['error']).toContain('at_most_once')
  expect(receiver.requests.map(({ url }) => url).sort()).toEqual(['/once', '/twice', '/twice'])
  await again.kill()
  await receiver.close()
})

test.concurrent('tasks that wait behind full slots at SIGTERM stay as they were and are called by the next program', async () => {
  using folder = temporaryFolder()
  const store = join(folder.path, 'callme.db')
  const receiver = await startReceiver(() => undefined)
  const program = await new Program(store, ['--shutdown-timeout', '1', '--max-inflight', '4']).started()
  const stored = []
  // Three calls are made: a host that has not answered yet gets three quarters of the slots.
  for (const name of ['a', 'b', 'c', 'd', 'e']) stored.push(await put(program, name, `${receiver.url}/${name}`))
  await receiver.waitFor(3)
  program.signal('SIGTERM')
  expect((await program.exited()).code).toBe(0)
  receiver.answer(undefined, {})
  const again = await new Program(store).started()
  const attempts = []
  for (const { body } of stored) attempts.push((await again.taskIn(keyOf(body), 'successful'))['attempts'])
  expect(attempts.sort()).toEqual([1, 1, 2, 2, 2])
  await again.kill()
  await receiver.close()
})

test.concurrent('a second signal ends the program at once', async () => {
  using folder = temporaryFolder()
  const receiver = await startReceiver(() => undefined)
  const program = await new Program(join(folder.path, 'callme.db')).started()
  await put(program, 'slow', receiver.url)
  await receiver.waitFor(1)
  program.signal('SIGTERM')
  await program.logged('node.stopping')
  const repeat = setInterval(() => {
    program.signal('SIGTERM')
  }, 50)
  expect((await program.exited()).code).toBe(1)
  clearInterval(repeat)
  expect(program.lines.map(({ event }) => event)).not.toContain('node.stopped')
  await receiver.close()
})
