/** Signals: calls under way finish, the API answers meanwhile, the rest is handed back, nothing is lost. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { PROGRAM } from '../cli/run-callme.ts'
import { Program, environmentOfOthers, keyOf, temporaryFolder } from '../support/program.ts'
import { startReceiver } from '../support/receiver.ts'
import { eventually, freePort } from '../support/unlogged.ts'

const put = (program: Program, name: string, callback: string, more = {}) =>
  program.json(`/task/${name}`, { method: 'PUT', body: JSON.stringify({ trigger_at: '+0m', max_delay: 60, callback, ...more }) })

test.concurrent('a call under way at SIGTERM is finished and recorded, and the API answers until then', async () => {
  using folder = temporaryFolder()
  const store = join(folder.path, 'callme.db')
  let finish: () => void = () => undefined
  const receiver = await startReceiver((response) => (finish = () => response.end('finished')))
  const program = await new Program(store).started()
  const stored = await put(program, 'slow', receiver.url)
  await receiver.waitFor(1)
  expect(await program.logged('node.started')).toMatchObject({ store, is_new: true, waiting: 0 })
  program.signal('SIGTERM')
  expect(await program.logged('node.stopping')).toMatchObject({ calls: 1, timeout_s: 20 })
  const ready = await program.json('/ready')
  expect(ready).toMatchObject({ status: 503, body: { error: expect.stringContaining('callme stops') as string } })
  const late = await put(program, 'late', `${receiver.url}/late`)
  expect(late.status).toBe(201)
  finish()
  expect((await program.exited()).code).toBe(0)
  receiver.answer(undefined, {})
  const again = await new Program(store).started()
  expect(await again.logged('node.started')).toMatchObject({ store, is_new: false, waiting: 1 })
  expect(await again.taskIn(keyOf(stored.body), 'successful')).toMatchObject({ attempts: 1, response_body: 'finished' })
  expect(await again.taskIn(keyOf(late.body), 'successful')).toMatchObject({ attempts: 1 })
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
  const program = await new Program(store, ['--shutdown-timeout', '1', '--max-inflight-per-host', '3']).started()
  const stored = []
  // Three calls are made. The others wait, although other hosts could have calls.
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

test.concurrent('a signal that has logs opened again, or pauses the program, cuts off nothing; SIGQUIT ends in order', async () => {
  using folder = temporaryFolder()
  const store = join(folder.path, 'callme.db')
  let finish: () => void = () => undefined
  const receiver = await startReceiver((response) => (finish = () => response.end('finished')))
  const program = await new Program(store).started()
  const stored = await put(program, 'slow', receiver.url)
  await receiver.waitFor(1)
  const harmless = ['SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGALRM'] as const
  for (const signal of [...harmless, 'SIGPIPE', 'SIGWINCH', 'SIGTSTP', 'SIGCONT'] as const) program.signal(signal)
  const ignored = await program.loggedTimes('signal.ignored', harmless.length)
  expect(ignored.map(({ signal }) => signal).sort()).toEqual([...harmless].sort())
  program.signal('SIGQUIT')
  await program.logged('node.stopping')
  finish()
  // Node's debugger would have said on standard error where it listens.
  expect(await program.exited()).toMatchObject({ code: 0, stderr: '' })
  const again = await new Program(store).started()
  expect(await again.taskIn(keyOf(stored.body), 'successful')).toMatchObject({ attempts: 1 })
  await again.kill()
  await receiver.close()
})

test.concurrent('a closed terminal ends the program in order', async () => {
  using folder = temporaryFolder()
  const store = join(folder.path, 'callme.db')
  let finish: () => void = () => undefined
  const receiver = await startReceiver((response) => (finish = () => response.end('finished')))
  const port = await freePort()
  const command = `exec ${process.execPath} ${PROGRAM} serve --listen 127.0.0.1:${port} --store sqlite:${store}`
  const terminal = spawn('script', ['--quiet', '--command', command, '/dev/null'], {
    stdio: ['pipe', 'ignore', 'ignore'],
    env: environmentOfOthers(),
  })
  const url = `http://127.0.0.1:${port}`
  const isReady = async (): Promise<number> => (await fetch(`${url}/ready`)).status
  await eventually(async () => (await isReady()) === 200)
  const body = JSON.stringify({ trigger_at: '+0m', max_delay: 60, callback: receiver.url })
  const stored = (await (await fetch(`${url}/task/slow`, { method: 'PUT', body })).json()) as Record<string, unknown>
  await receiver.waitFor(1)
  terminal.kill('SIGKILL')
  await eventually(async () => (await isReady()) === 503)
  finish()
  await eventually(() =>
    isReady().then(
      () => false,
      () => true,
    ),
  )
  const again = await new Program(store).started()
  expect(await again.taskIn(keyOf(stored), 'successful')).toMatchObject({ attempts: 1, response_body: 'finished' })
  await again.kill()
  await receiver.close()
})
