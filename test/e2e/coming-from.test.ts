/** Every curl line of the pages in `src/docs/coming-from` does what stands above it, on the real program, with a real endpoint. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { TestContext } from 'vitest'
import { readCurl } from '../support/curl.ts'
import { Program, temporaryFolder } from '../support/program.ts'
import { startReceiver } from '../support/receiver.ts'
import type { Receiver } from '../support/receiver.ts'

/** Two years ahead: the year that the pages call 2030. */
const YEAR = new Date().getUTCFullYear() + 2
const MINUTE = Date.UTC(YEAR, 0, 1) / 1000

interface Line {
  /** what stands above it */
  readonly says: string
  readonly status: number
  readonly command: string
}

interface Shown {
  readonly task_name: string
  readonly trigger_at: string
  readonly [field: string]: unknown
}

interface Answer {
  readonly tasks: Shown[]
  readonly task: Shown
  readonly [member: string]: unknown
}

/** The lines of one system, in their order, against a callme of their own. */
class Walk {
  readonly program: Program
  readonly receiver: Receiver
  readonly #lines: Line[]

  constructor(system: string, program: Program, receiver: Receiver) {
    this.#lines = linesOf(system)
    this.program = program
    this.receiver = receiver
  }

  /** Runs the next line, which must be this one, and checks the status that it promises. */
  async send(says: string): Promise<Response> {
    const line = this.#lines.shift()
    expect(line?.says).toBe(says)
    const response = await fetch(readCurl(this.#here(line?.command ?? '')))
    expect(response.status, line?.command).toBe(line?.status)
    return response
  }

  async run(says: string): Promise<Answer> {
    return (await (await this.send(says)).json()) as Answer
  }

  /** Checks that no line is left. */
  end(): void {
    expect(this.#lines).toEqual([])
  }

  #here(command: string): string {
    return command
      .replaceAll('127.0.0.1:6777', new URL(this.program.url).host)
      .replaceAll('http://127.0.0.1:8321', this.receiver.url)
      .replaceAll('2030-', `${YEAR}-`)
      .replace(/\b1893456000\b/g, String(MINUTE))
  }
}

function linesOf(system: string): Line[] {
  const page = readFileSync(new URL(`../../src/docs/coming-from/${system}.md`, import.meta.url), 'utf8')
  const [, block = '', ...others] = page.split('\n```bash\n').map((text, index) => (index === 0 ? text : (text.split('\n```')[0] ?? '')))
  expect(others).toEqual([])
  const pairs = block.match(/^.*\n.*$/gm) ?? []
  return pairs.map((pair) => {
    const [, says = '', status = '', command = ''] = /^# (.+) → (\d{3})\n(curl .+)$/.exec(pair) ?? []
    expect(command, `a comment with a status, and a curl line:\n${pair}`).not.toBe('')
    return { says, status: Number(status), command }
  })
}

/** A program and a receiver of its own, which end with the test, however it ends. */
async function startWalk(system: string, { onTestFinished }: TestContext): Promise<Walk> {
  const folder = temporaryFolder()
  const receiver = await startReceiver()
  const program = new Program(join(folder.path, 'callme.db'))
  onTestFinished(async () => {
    await program.kill()
    await receiver.close()
    folder[Symbol.dispose]()
  })
  return new Walk(system, await program.started(), receiver)
}

/** Reads a stream of events until it has told of so many. */
async function readEvents(response: Response, count: number): Promise<{ kind: string; task: Record<string, unknown> }[]> {
  const events: { kind: string; task: Record<string, unknown> }[] = []
  let text = ''
  for await (const chunk of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
    const blocks = (text + chunk).split('\n\n')
    text = blocks.pop() ?? ''
    for (const block of blocks) {
      const [, kind, data] = /^event: (.+)\ndata: (.+)$/m.exec(block) ?? []
      if (kind !== undefined && data !== undefined) events.push({ kind, task: JSON.parse(data) as Record<string, unknown> })
    }
    if (events.length >= count) break
  }
  return events
}

test.concurrent('dsw: a job is posted to its uri at its time, and its error_uri is told of the failure', async (context) => {
  const walk = await startWalk('dsw', context)
  const { receiver } = walk
  receiver.answer('/test', { status: 404 })

  expect(await walk.run('GET /')).toMatchObject({ status: 'ok' })
  expect(await walk.run('GET /health')).toMatchObject({ status: 'ok' })
  await walk.run('the rules of dsw, once')
  const { task } = await walk.run('POST /jobs')
  expect(task).toMatchObject({ task_state: 'pending', trigger_time: `${YEAR}-01-01T00:00:00.000Z`, callback_method: 'POST', retry: 3 })
  expect((await walk.run('GET /jobs')).tasks).toEqual([task])
  await walk.run('to see it called now')

  const [call, report] = await receiver.waitFor(2)
  expect(call).toMatchObject({ method: 'POST', url: '/test', headers: { 'content-type': 'application/json' }, body: '{"some":"data"}' })
  expect(report).toMatchObject({ method: 'POST', url: '/error', headers: { 'content-type': 'application/json' } })
  expect(JSON.parse(report?.body ?? '')).toMatchObject({
    task: { task_name: '7b596144-da13-4d93-ace7-4938bca2db76', task_state: 'failed', error: 'answered 404, expected 2xx' },
    attempts: [{ number: 1, status: 404 }],
    last_attempt: { number: 1, status: 404 },
    payload: { some: 'data' },
  })
  walk.end()
})

test.concurrent('rickover: a job is sent downstream, ends by the status call of its attempt, and is replayed', async (context) => {
  const walk = await startWalk('rickover', context)
  const { receiver, program } = walk
  receiver.answer(undefined, { status: 202 })
  const job = { id: 'job_282227eb', data: { shipmentId: 'shp_123' } }

  await walk.run('POST /v1/jobs')
  expect(await walk.run('GET /v1/jobs/:name')).toMatchObject({ handlers: [{ concurrency: 5, headers: { Authorization: 'redacted' } }] })
  const { task } = await walk.run('PUT /v1/jobs/:name/:id, "run_after": null')
  expect(task).toMatchObject({ callback: `${receiver.url}/v1/jobs/invoice-shipments`, retry: 2, max_delay: 120, ack_timeout: 5 })
  const key = `invoice-shipments.job_282227eb@${task.trigger_at}`
  const [first] = await receiver.waitFor(1)
  expect(first).toMatchObject({ method: 'POST', headers: { authorization: 'Basic am9iczpoeW1hbnJpY2tvdmVy', 'callme-attempt': '1' } })
  expect(JSON.parse(first?.body ?? '')).toEqual(job)

  const { tasks } = await walk.run('GET /v1/jobs/:name/:id')
  expect(tasks).toMatchObject([{ task_state: 'running', attempts: 1 }])
  expect((await walk.run('the queued_jobs of a type')).tasks).toMatchObject([{ task_name: task.task_name }])
  expect((await walk.run('POST /v1/jobs/:name/:id, failed')).task).toMatchObject({
    task_state: 'retrying',
    error: 'acknowledged as failed',
  })
  await walk.run('POST /v1/jobs/:name/:id, a stale attempt')
  const [, second] = await receiver.waitFor(2)
  expect(second?.headers).toMatchObject({ 'callme-task': key, 'callme-attempt': '2' })
  expect((await walk.run('five minutes more')).task).toMatchObject({ task_state: 'running', attempts: 2 })
  expect((await walk.run('POST /v1/jobs/:name/:id, succeeded')).task).toMatchObject({ task_state: 'successful' })
  expect(await program.taskIn(key, 'successful')).toMatchObject({ history: [{ number: 1 }, { number: 2, error: null }] })

  expect((await walk.run('POST /v1/jobs/:name/:id/replay')).task).toMatchObject({ attempts: 0 })
  const [, , replayed] = await receiver.waitFor(3)
  expect(replayed?.headers).toMatchObject({ 'callme-task': key, 'callme-attempt': '1' })
  expect(JSON.parse(replayed?.body ?? '')).toEqual(job)
  walk.end()
})

test.concurrent(
  'errands-server: workers process, fail, retry and complete errands, and a listener is told of each change',
  async (context) => {
    const walk = await startWalk('errands-server', context)
    const stream = await walk.send('GET /v1/errands/notifications')
    const [one, two, three] = ['extract.1', 'extract.2', 'extract.3'].map((name) => ({ task_name: name }))

    await walk.run('workers pull the errands of this type')
    expect((await walk.run('POST /v1/errands/')).task).toMatchObject({ ...one, callback: null, retry: 2, payload: { file: 'one.sketch' } })
    const claimed = await walk.run('POST /v1/errands/process/:type')
    expect(claimed.tasks).toMatchObject([{ ...one, task_state: 'running', attempts: 1, payload: { file: 'one.sketch' } }])
    expect((await walk.run('PUT /v1/errand/:id')).task).toMatchObject({ task_state: 'running' })
    await walk.run('PUT /v1/errand/:id/failed')
    const [failed] = (await walk.run('GET /v1/errand/:id')).tasks
    expect(failed).toMatchObject({ task_state: 'retrying', error: 'acknowledged as failed: no such file' })
    const { body } = await walk.program.json(`/task/${String(failed?.['key'])}`)
    expect(body['tasks']).toMatchObject([{ history: [{ number: 1 }] }])
    await walk.run('POST /v1/errand/:id/retry')
    expect((await walk.run('POST /v1/errands/process/:type, again')).tasks).toMatchObject([{ ...one, attempts: 2 }])
    const completed = await walk.run('PUT /v1/errand/:id/completed')
    expect(completed.task).toMatchObject({ task_state: 'successful', response_body: '{"rows":7}' })

    expect(await walk.run('POST /v1/errands/, several')).toMatchObject({ results: [{ status: 201 }, { status: 201 }] })
    expect((await walk.run('GET /v1/errands/')).tasks).toMatchObject([one, two, three])
    await walk.run('deleteOnCompleted')
    expect((await walk.run('POST /v1/errands/process/:type, all there are')).tasks).toMatchObject([two, three])
    await walk.run('PUT /v1/errand/:id/completed, and it is gone')
    await walk.run('PUT /v1/errand/:id/failed, for good')
    expect((await walk.run('GET /v1/errands/list/:key/:val, the type')).tasks).toMatchObject([one, two])
    expect((await walk.run('GET /v1/errands/list/:key/:val, the status')).tasks).toMatchObject([{ ...two, task_state: 'failed' }])
    const again = await walk.run('POST /v1/errands/update/:key/:val, back to the queue')
    expect(again).toMatchObject({ rescheduled: 1, tasks: [{ ...two, task_state: 'pending' }] })
    expect(await walk.run('POST /v1/errands/update/:key/:val, delete')).toEqual({ deleted: 1 })
    expect(await walk.run('DELETE /v1/errand/:id')).toEqual({ deleted: 1 })
    expect(await walk.run('POST /v1/errands/clear/:duration')).toEqual({ deleted: 1 })
    expect((await walk.program.json('/task/')).body).toEqual({ tasks: [] })

    const told = [
      ...['created 1', 'processing 1', 'retry 1', 'processing 1', 'completed 1', 'created 2', 'created 3', 'processing 2', 'processing 3'],
      ...['completed 3', 'deleted 3', 'failed 2', 'created 2', 'deleted 2', 'deleted 2', 'deleted 1'],
    ]
    const events = await readEvents(stream, told.length)
    expect(events.map(({ kind, task }) => `${kind} ${String(task['task_name']).slice('extract.'.length)}`)).toEqual(told)
    walk.end()
  },
)

test.concurrent(
  'delay-tasks: the handler of a category is called with what the task holds, in advance where it is deleted with exec',
  async (context) => {
    const walk = await startWalk('delay-tasks', context)
    const { receiver, program } = walk

    expect(await walk.run('GET /health')).toMatchObject({ status: 'ok' })
    await walk.run('POST /handler/:cate')
    expect((await walk.run('POST /task/:cate')).task).toMatchObject({ callback: `${receiver.url}/remind` })
    await walk.run('POST /task/:cate, updated')
    const { task: last } = await walk.run('POST /task/:cate, the last key, with a handler of its own')
    expect(last).toMatchObject({ callback: `${receiver.url}/other`, callback_method: 'POST' })
    const { tasks } = await walk.run('GET /task/:cate/:key')
    expect(tasks).toMatchObject([{ trigger_at: String(MINUTE), callback: `${receiver.url}/remind`, payload: { params: { to: 'bob' } } }])
    expect((await walk.run('GET /task/:cate/:key, with timestamp')).tasks).toEqual([{ ...tasks[0], history: [] }])
    expect((await walk.run('GET /tasks')).tasks).toEqual([last, ...tasks])
    expect((await walk.run('GET /tasks, of a category')).tasks).toEqual([last, ...tasks])

    await walk.run('DELETE /task/:cate, exec')
    const [call] = await receiver.waitFor(1)
    expect(call).toMatchObject({ method: 'POST', url: '/remind', headers: { 'callme-in-advance': 'true' } })
    expect(JSON.parse(call?.body ?? '')).toEqual({ cate: 'reminder', key: 42, params: { to: 'bob' } })
    while ((await program.json(`/task/reminder.42@${MINUTE}`)).status !== 404);
    expect(await walk.run('DELETE /task/:cate')).toEqual({ deleted: 1 })
    expect((await program.json('/task/')).body).toEqual({ tasks: [] })
    walk.end()
  },
)

test.concurrent('the Go callme: what its README shows works as it stands there', async (context) => {
  const walk = await startWalk('go-callme', context)
  const { receiver, program } = walk
  receiver.answer('/far-far-away', { status: 204 })

  const { task: simple } = await walk.run('PUT /task/<task_name>')
  expect(simple).toMatchObject({ callback_method: 'GET', payload: '', expected_http_status: 200, retry: 1, max_delay: 10 })
  const { task: far } = await walk.run('PUT /task/<task_name>, for a minute')
  expect((await walk.run('GET /status/<task_name>@<trigger_at>')).tasks).toEqual([{ ...far, history: [] }])
  expect((await walk.run('GET /status/<task_name>')).tasks).toEqual([far])
  expect((await walk.run('GET /status/')).tasks).toEqual([])

  const moved = await walk.run('POST /reschedule/<task_name>@<trigger_at>')
  expect((await receiver.waitFor(1))[0]).toMatchObject({ method: 'GET', url: '/far-far-away', body: '' })
  await program.taskIn(`faraway@${String(moved.tasks[0]?.trigger_at)}`, 'successful')
  const { tasks } = await walk.run('POST /reschedule/<task_name>')
  expect(tasks).toMatchObject([{ task_name: 'simpletask', rescheduled_from: `simpletask@${simple.trigger_at}` }])
  walk.end()
})
