/** Waits until all that was accepted has ended, and reads the whole store through the API. */
import { setTimeout } from 'node:timers/promises'
import type { WireTask } from '../../src/wire/present-task.ts'
import type { Api } from './api.ts'
import { keyOfTask } from './evidence.ts'

const LOOK_EVERY_MS = 500
const AT_ONCE = 8

/** Resolves when nothing waits or runs, error callbacks included; also when `ms` have passed, so that it can be said what is left. */
export async function settled(api: Api, ms: number): Promise<void> {
  const until = Date.now() + ms
  while (Date.now() < until) {
    const { tasks } = await get(api, '/status/?state=pending,running,retrying&limit=1')
    if ((tasks as WireTask[]).length === 0 && (await readTasks(api, '&state=failed,skipped')).every(isTold)) return
    await setTimeout(LOOK_EVERY_MS)
  }
}

/** Each entry with its history. */
export async function readEntries(api: Api): Promise<WireTask[]> {
  const keys = (await readTasks(api)).map(keyOfTask)
  const entries: WireTask[] = []
  for (let start = 0; start < keys.length; start += AT_ONCE) {
    const answers = await Promise.all(keys.slice(start, start + AT_ONCE).map((key) => get(api, `/status/${key}`)))
    entries.push(...answers.flatMap(({ tasks }) => tasks as WireTask[]))
  }
  return entries
}

async function readTasks(api: Api, filter = ''): Promise<WireTask[]> {
  const tasks: WireTask[] = []
  for (let start = ''; ;) {
    const page = await get(api, `/status/?limit=1000${start}${filter}`)
    tasks.push(...(page['tasks'] as WireTask[]))
    if (page['next'] === undefined) return tasks
    start = `&start_from=${encodeURIComponent(page['next'] as string)}`
  }
}

function isTold({ error_callback_result: told }: WireTask): boolean {
  return told === null || ['successful', 'failed', 'skipped'].includes(told.state)
}

function get(api: Api, path: string): Promise<Record<string, unknown>> {
  return api.sendUntil({ method: 'GET', path }, [200])
}
