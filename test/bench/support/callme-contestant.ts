/** callme as a contestant: the program itself, which is told everything over HTTP. */
import { randomBytes } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { minuteOf } from '../../../src/domain/time/trigger-time.ts'
import type { Program } from '../../support/program.ts'
import { spawnCallme, stopCallme } from './callme.ts'
import { Child } from './child.ts'
import { BATCH, CALLERS } from './contestant.ts'
import type { Contestant, Jobs, Running } from './contestant.ts'
import { dueTask, fillStore } from './due-store.ts'
import type { PutLoadVerbs } from './put-load.ts'

export function callmeContestant(about: Pick<Contestant, 'name' | 'storedWhen' | 'openPlace'>): Contestant {
  return {
    ...about,
    product: 'callme',
    fill: async (store, { count, url, dueAt }) => {
      let next = 0
      await fillStore(store, count, () => dueTask(minuteOf(dueAt), `${url}${next++}`))
    },
    launch: async (store) => runningCallme(await spawnCallme(store)),
  }
}

function runningCallme(program: Program): Running {
  const started = program.started()
  // Whoever waits for it is told; nobody has to.
  started.catch(() => undefined)
  return {
    pid: program.pid,
    addEach: async (jobs) => {
      const { url } = await started
      await using load = new Child<PutLoadVerbs>('put-load.ts')
      const body = Array.from({ length: jobs.count }, (_, number) => JSON.stringify(taskOf(jobs, number)))
      const { seconds } = await load.ask('run', { url, body, requests: jobs.count, connections: CALLERS })
      return 1000 * seconds
    },
    addBulk: async (jobs) => {
      const { url } = await started
      const startedAt = performance.now()
      for (let sent = 0; sent < jobs.count; sent += BATCH) {
        const length = Math.min(BATCH, jobs.count - sent)
        const batch = Array.from({ length }, (_, index) => ({ task_name: name(), ...taskOf(jobs, sent + index) }))
        const response = await fetch(`${url}/tasks`, { method: 'POST', body: JSON.stringify(batch) })
        await response.arrayBuffer()
        if (response.status !== 200) throw new Error(`POST /tasks was answered ${response.status}`)
      }
      return performance.now() - startedAt
    },
    work: async () => {
      await started
    },
    waiting: async () => {
      await started
      const counts = await countsOf(program)
      return Object.entries(counts).reduce((sum, [state, count]) => (state === 'successful' ? sum : sum + count), 0)
    },
    kill: async () => {
      await program.kill()
    },
    stop: () => stopCallme(program),
  }
}

/** How many tasks there are of each state, as soon as it has reached its store. */
async function countsOf(program: Program): Promise<Readonly<Record<string, number>>> {
  for (;;) {
    const { status, body } = await program.json('/ready')
    if (status === 200) return body['tasks'] as Readonly<Record<string, number>>
    await setTimeout(10)
  }
}

function taskOf({ url, dueAt }: Jobs, number: number): { trigger_at: number; callback: string } {
  return { trigger_at: minuteOf(dueAt), callback: `${url}${number}` }
}

function name(): string {
  return randomBytes(9).toString('hex')
}
