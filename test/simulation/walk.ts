/** A walk through pages while the world goes on: it must see every entry that was there throughout, each once, in order. */
import type { WireTask } from '../../src/wire/present-task.ts'
import type { Action } from './decisions.ts'
import { Violation } from './model.ts'
import type { UsersOptions } from './commands.ts'

/** Pages that are asked for again because the node was away, or its store did not answer. */
const MOST_FAILURES = 20
const AGAIN_MS = 30_000

/** @throws Violation where it has seen too little, too much, or in the wrong order */
export async function walk({ limit, path, pauseMs }: Extract<Action, { do: 'walk' }>, { watch, send, time }: UsersOptions): Promise<void> {
  const versionBefore = watch.version
  const seen: WireTask[] = []
  let failures = 0
  for (let next: string | undefined = ''; next !== undefined;) {
    const query: string = next === '' ? '' : `&start_from=${encodeURIComponent(next)}`
    const answer = await send({ method: 'GET', url: `${path}?limit=${limit}${query}` })
    if (answer !== 'lost' && answer.status === 404) break
    if (answer === 'lost' || answer.status !== 200) {
      failures += 1
      if (failures > MOST_FAILURES) return
      await new Promise<void>((resolve) => {
        time.after(AGAIN_MS, resolve)
      })
      continue
    }
    const page = JSON.parse(answer.body) as { tasks: WireTask[]; next?: string }
    seen.push(...page.tasks)
    next = page.next
    if (next !== undefined && pauseMs > 0)
      await new Promise<void>((resolve) => {
        time.after(pauseMs, resolve)
      })
  }
  const keys = seen.map((task) => `${task.task_name}@${task.trigger_at}`)
  if (new Set(keys).size < keys.length) throw new Violation('a page walk sees no entry twice', keys.join(' '))
  const isInOrder = seen.every((task, index) => Number(seen[index - 1]?.trigger_at ?? 0) <= Number(task.trigger_at))
  if (!isInOrder) throw new Violation('pages are in order', keys.join(' '))
  const [, , ofName = ''] = path.split('/')
  const missed = watch.lastingSince(versionBefore).filter((key) => !keys.includes(key) && !/@.*@/.test(key) && key.startsWith(ofName))
  if (missed.length > 0) throw new Violation('a page walk sees every entry that lived throughout', missed.join(' '))
}
