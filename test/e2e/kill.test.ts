/** `kill -9`, again and again at random points under load: what was promised with a 2xx is kept. */
import { join } from 'node:path'
import { expect, inject, test } from 'vitest'
import { Program, keyOf, temporaryFolder } from '../support/program.ts'
import { startReceiver } from '../support/receiver.ts'

/** The night has time for more. */
const KILLS = inject('isNightly') ? 200 : 14
const TIMEOUT_MS = 1_200_000
const CLIENTS = 6
const FINAL = ['successful', 'failed', 'skipped']

interface Task {
  readonly task_name: string
  readonly trigger_at: string
  readonly task_state: string
  readonly delivery: string
  readonly run_id: string
  readonly error: string | null
}

test(
  `after ${KILLS} kills under load every acknowledged task is there and ends, and calls are doubled only by a kill`,
  async () => {
    using folder = temporaryFolder()
    const store = join(folder.path, 'callme.db')
    const receiver = await startReceiver((response) => setTimeout(() => response.end(), Math.random() * 30))
    const acknowledged: string[] = []
    const kills: { from: number; to: number }[] = []
    let program = await new Program(store).started()
    let isLoading = true

    const client = async (number: number): Promise<void> => {
      for (let n = 0; isLoading; n += 1) {
        const delivery = n % 2 ? 'at_most_once' : 'at_least_once'
        const body = JSON.stringify({ trigger_at: '+0m', callback: `${receiver.url}/run`, max_delay: 60, delivery })
        const answer = await program.json(`/task/load-${number}-${n}`, { method: 'PUT', body }).catch(() => undefined)
        if (answer?.status === 201) acknowledged.push(keyOf(answer.body))
        // The program is away: let the event loop go round before the next try.
        else await new Promise((resolve) => setImmediate(resolve))
      }
    }
    const clients = Array.from({ length: CLIENTS }, (_, number) => client(number))
    for (let kill = 0; kill < KILLS; kill += 1) {
      await receiver.waitFor(receiver.requests.length + Math.floor(Math.random() * 40))
      const from = Date.now()
      await program.kill()
      program = await new Program(store).started()
      kills.push({ from, to: Date.now() })
    }
    isLoading = false
    await Promise.all(clients)

    const tasks = new Map<string, Task>()
    for (const key of acknowledged) await program.taskIn(encodeURIComponent(key), ...FINAL)
    for (let next: unknown = ''; next !== undefined;) {
      const { body } = await program.json(`/status/?limit=1000${next === '' ? '' : `&start_from=${encodeURIComponent(next as string)}`}`)
      for (const task of body['tasks'] as Task[]) tasks.set(`${task.task_name}@${task.trigger_at}`, task)
      next = body['next']
    }

    const callsOfRun = Map.groupBy(receiver.requests, (request) => request.headers['callme-run-id'] as string)
    expect(acknowledged.length).toBeGreaterThan(KILLS)
    expect(acknowledged.filter((key) => !tasks.has(key))).toEqual([])
    expect([...tasks.values()].filter((task) => !FINAL.includes(task.task_state))).toEqual([])
    for (const task of tasks.values()) {
      const calls = callsOfRun.get(task.run_id) ?? []
      if (task.delivery === 'at_most_once') expect(calls.length, `calls of ${task.task_name}`).toBeLessThanOrEqual(1)
      if (task.task_state === 'successful') expect(calls.length, `calls of ${task.task_name}`).toBeGreaterThanOrEqual(1)
      else expect(task.error).toContain('lost')
      for (const [index, call] of calls.entries()) {
        const earlier = calls[index - 1]
        const killsBetween = kills.filter(({ from, to }) => earlier && earlier.at <= to && call.at >= from)
        if (earlier) expect(killsBetween.length, `kills between two calls of ${task.task_name}`).toBeGreaterThan(0)
      }
      if (calls.length > 1) {
        const { body } = await program.json(`/task/${task.task_name}@${task.trigger_at}`)
        const [{ history }] = body['tasks'] as [{ history: { error: string | null }[] }]
        const lost = history.filter(({ error }) => error?.includes('lost'))
        expect(lost.length, `lost attempts of ${task.task_name}`).toBeGreaterThanOrEqual(calls.length - 1)
      }
    }
    program.signal('SIGTERM')
    expect((await program.exited()).code).toBe(0)
    await receiver.close()
  },
  TIMEOUT_MS,
)
