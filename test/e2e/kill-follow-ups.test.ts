/** `kill -9` under load for all that follows from a call: error callbacks, acknowledgements, pulled work, series and events. */
import { join } from 'node:path'
import { expect, inject, test } from 'vitest'
import { Program, keyOf, temporaryFolder } from '../support/program.ts'
import { startReceiver } from '../support/receiver.ts'

/** The night has time for more. */
const KILLS = inject('isNightly') ? 40 : 10
/** What kills follow each other so fast for that all attempts of a run are lost. */
const GIVEN_UP = 'this run was lost 5 times'
const SERIES = 20
/** Enough for the minute to change at least once while the program is killed again and again. */
const MINUTES = 1

interface WireTask {
  readonly task_name: string
  readonly trigger_at: string
  readonly task_state: string
  readonly run_id: string
  readonly attempts: number
  readonly repeated_to: string | null
  readonly error: string | null
  readonly error_callback_result: { readonly state: string; readonly error: string | null } | null
}

interface Told {
  readonly id: number
  readonly kind: string
  readonly key: string
}

test(`after ${KILLS} kills under load nothing that follows from a call is lost or doubled`, async () => {
  using folder = temporaryFolder()
  const store = join(folder.path, 'callme.db')
  const receiver = await startReceiver()
  let starting = new Program(store).started()
  let program = await starting
  let isLoading = true

  /** Sends until the program, which may be away, has answered. */
  const send = async (path: string, method: string, body?: unknown): Promise<{ status: number; body: Record<string, unknown> }> => {
    for (;;) {
      await starting
      const answer = await program.json(path, { method, ...(body !== undefined && { body: JSON.stringify(body) }) }).catch(() => undefined)
      if (answer && answer.status !== 503) return answer
      // Its end may not be known here yet.
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  receiver.answer('/refuse', { status: 400 })
  receiver.answer('/accept', (response, { headers }) => {
    response.end()
    const body = { attempt: Number(headers['callme-attempt']), run_id: headers['callme-run-id'], status: 'successful' }
    void send(`/ack/${headers['callme-task'] as string}`, 'POST', body)
  })

  const told: Told[] = []
  const listening = new AbortController()
  const listener = listen(async () => (await starting).url, told, listening.signal)

  await send('/handler/pulled', 'PUT', { pull: true, max_delay: 60 })
  for (let n = 0; n < SERIES; n += 1) {
    await send(`/task/series-${n}`, 'PUT', { repeat: '* * * * *', callback: `${receiver.url}/series`, max_delay: 5 })
  }
  const [failing, accepted, pulled]: [string[], string[], string[]] = [[], [], []]
  const put = async (keys: string[], name: string, body: object): Promise<void> => {
    const answer = await send(`/task/${name}`, 'PUT', { trigger_at: '+0m', max_delay: 60, ...body })
    // A program that was killed may have stored it before: then it is replaced, or running already.
    if (answer.status === 201) keys.push(keyOf(answer.body))
  }
  const client = async (): Promise<void> => {
    for (let n = 0; isLoading; n += 1) {
      await put(failing, `failing-${n}`, { callback: `${receiver.url}/refuse`, error_callback: `${receiver.url}/told` })
      await put(accepted, `accepted-${n}`, { callback: `${receiver.url}/accept`, ack_timeout: 60 })
      await send('/tasks', 'POST', [{ task_name: 'pulled', trigger_at: `+${n + 1}m`, payload: n }])
      const { status } = await send(`/run/pulled@${Math.floor(Date.now() / 60_000) * 60 + (n + 1) * 60}`, 'POST')
      if (status === 202) pulled.push(`pulled ${n}`)
    }
  }
  const work = new Map<string, number>()
  const worker = async (): Promise<void> => {
    while (isLoading) {
      const { body } = await send('/claim/pulled?limit=5&lease=1&wait=1', 'POST')
      for (const task of (body['tasks'] ?? []) as WireTask[]) {
        const { status } = await send(`/ack/pulled@${task.trigger_at}`, 'POST', {
          attempt: task.attempts,
          run_id: task.run_id,
          status: 'successful',
        })
        if (status === 200) work.set(task.run_id, (work.get(task.run_id) ?? 0) + 1)
      }
    }
  }
  const load = [client(), worker(), worker()]
  const until = (Math.floor(Date.now() / 60_000) + MINUTES) * 60_000 + 5000
  for (let kill = 0; kill < KILLS || Date.now() < until; kill += 1) {
    await receiver.waitFor(receiver.requests.length + 5 + Math.floor(Math.random() * 40))
    starting = program.kill().then(() => new Program(store).started())
    program = await starting
  }
  isLoading = false
  await Promise.all(load)

  for (const key of failing) await program.taskIn(key, 'failed')
  for (const key of accepted) {
    const task = (await program.taskIn(key, 'successful', 'failed')) as unknown as WireTask
    if (task.task_state === 'failed') expect(task.error).toContain(GIVEN_UP)
  }
  for (const key of failing) {
    let task: WireTask
    do {
      const { body } = await program.json(`/task/${key}`)
      ;[task] = body['tasks'] as [WireTask]
    } while (!['successful', 'failed'].includes(task.error_callback_result?.state ?? ''))
    if (task.error_callback_result?.state === 'failed') expect(task.error_callback_result.error).toContain(GIVEN_UP)
    const callbacks = receiver.requests.filter(({ url, headers }) => url === '/told' && headers['callme-task'] === key)
    const reports = callbacks.filter(({ body }) => (JSON.parse(body) as { task: WireTask }).task.run_id === task.run_id)
    expect(new Set(reports.map(({ headers }) => headers['callme-run-id'])).size, `error callbacks of ${key}`).toBe(1)
  }
  expect(failing.length).toBeGreaterThan(KILLS)
  expect(accepted.length).toBeGreaterThan(KILLS)
  expect(pulled.length).toBeGreaterThan(KILLS)
  expect([...work.values()].filter((times) => times !== 1)).toEqual([])

  for (let n = 0; n < SERIES; n += 1) {
    const { body } = await program.json(`/task/series-${n}`)
    const tasks = body['tasks'] as WireTask[]
    expect(tasks.length).toBeGreaterThan(1)
    const first = Number(tasks[0]?.trigger_at)
    expect(tasks.map(({ trigger_at }) => Number(trigger_at))).toEqual(tasks.map((_, index) => first + index * 60))
    expect(tasks.map(({ repeated_to }) => repeated_to !== null)).toEqual(tasks.map((_, index) => index < tasks.length - 1))
  }
  const isTold = (key: string) => told.some((one) => one.key === key && (one.kind === 'failed' || one.kind === 'completed'))
  while (![...failing, ...accepted].every(isTold)) await new Promise((resolve) => setImmediate(resolve))
  listening.abort()
  await listener
  expectEachOnceAndInOrder(told, [...failing, ...accepted])
  program.signal('SIGTERM')
  expect((await program.exited()).code).toBe(0)
  await receiver.close()
})

/** Listens to the events of a program that may be away, and goes on where it was. */
async function listen(url: () => Promise<string>, told: Told[], signal: AbortSignal): Promise<void> {
  let last = ''
  while (!signal.aborted) {
    try {
      // From the first change on: a new listener alone would miss those before it.
      const response = await fetch(`${await url()}/events`, { headers: { 'Last-Event-ID': last || '0' }, signal })
      let text = ''
      for await (const chunk of response.body ?? []) {
        text += Buffer.from(chunk as Uint8Array).toString()
        const events = text.split('\n\n')
        text = events.pop() ?? ''
        for (const event of events) {
          const field = (name: string) =>
            event
              .split('\n')
              .find((line) => line.startsWith(`${name}: `))
              ?.slice(name.length + 2)
          const [id, kind, data] = [field('id'), field('event'), field('data')]
          if (id === undefined || kind === undefined || data === undefined) continue
          last = id
          const task = JSON.parse(data) as WireTask
          told.push({ id: Number(id), kind, key: `${task.task_name}@${task.trigger_at}` })
        }
      }
    } catch {
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}

function expectEachOnceAndInOrder(told: readonly Told[], keys: readonly string[]): void {
  const ids = told.map(({ id }) => id)
  expect(ids).toEqual([...new Set(ids)].sort((one, other) => one - other))
  const ofKey = Map.groupBy(told, ({ key }) => key)
  for (const key of keys) {
    const kinds = (ofKey.get(key) ?? []).map(({ kind }) => kind)
    expect(kinds[0], `first change of ${key}`).toBe('created')
    expect(
      kinds.filter((kind) => kind === 'created'),
      `changes of ${key}`,
    ).toHaveLength(1)
    expect(
      kinds.filter((kind) => kind === 'failed' || kind === 'completed'),
      `ends of ${key}`,
    ).toHaveLength(1)
  }
}
