/** What a user can tell callme to do with a task: each is sent once, and noted with what came of it. */
import type { WireTask } from '../../src/wire/present-task.ts'
import type { Api, Reply } from './api.ts'
import { keyOfTask, nameOf } from './evidence.ts'
import type { Operation } from './evidence.ts'
import type { JournalKeeper } from './journal-keeper.ts'

interface Command extends Pick<Operation, 'does' | 'name'> {
  readonly key?: string
  readonly method: string
  readonly path: string
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** the statuses by which it is carried out */
  readonly accepted: readonly number[]
  /** whether an answer is a right one, though it was not carried out */
  readonly mayRefuse: (status: number) => boolean
}

const WHILE_RUNNING = (status: number): boolean => status === 409

export class Commands {
  readonly #api: Api
  readonly #keeper: JournalKeeper

  constructor(api: Api, keeper: JournalKeeper) {
    this.#api = api
    this.#keeper = keeper
  }

  /** @param isNew whether no entry with this key can be there */
  put(name: string, body: { readonly trigger_at: string | number }, { isNew }: { isNew: boolean }): Promise<Operation> {
    const { trigger_at: triggerAt } = body
    const isPast = (): boolean => typeof triggerAt === 'number' && triggerAt * 1000 <= Date.now()
    return this.#carryOut({
      ...{ does: 'put', name, method: 'PUT', path: `/task/${name}`, body },
      ...(typeof triggerAt === 'number' && { key: `${name}@${triggerAt}` }),
      headers: isNew ? { 'If-None-Match': '*' } : {},
      accepted: [200, 201],
      mayRefuse: (status) => (isNew ? status === 412 : status === 409) || (status === 400 && isPast()),
    })
  }

  /** Many new ones with one request. */
  async putMany(tasks: readonly { readonly task_name: string }[]): Promise<void> {
    const sentAt = Date.now()
    const reply = await this.#api.send({ method: 'POST', path: '/tasks', body: tasks })
    const at = { sentAt, answeredAt: Date.now() }
    if (isUnknown(reply)) {
      for (const { task_name: name } of tasks) this.#keeper.note({ does: 'put', name, ...at, outcome: 'unknown' })
      return
    }
    if (reply === 'no connection') return
    const results = reply.status === 200 ? (reply.body['results'] as { key: string }[]) : []
    for (const { key } of results) this.#keeper.note({ does: 'put', name: nameOf(key), key, ...at, outcome: 'accepted' })
    if (results.length !== tasks.length) this.#noteWrong(`POST /tasks of ${tasks.length}`, reply)
  }

  run(key: string): Promise<Operation> {
    const path = `/run/${key}`
    return this.#carryOut({ ...about(key), does: 'run', method: 'POST', path, accepted: [202], mayRefuse: WHILE_RUNNING })
  }

  remove(key: string): Promise<Operation> {
    const path = `/task/${key}`
    return this.#carryOut({ ...about(key), does: 'remove', method: 'DELETE', path, accepted: [200], mayRefuse: WHILE_RUNNING })
  }

  runAndRemove(key: string): Promise<Operation> {
    const path = `/task/${key}?run=true`
    return this.#carryOut({ ...about(key), does: 'run and remove', method: 'DELETE', path, accepted: [202], mayRefuse: WHILE_RUNNING })
  }

  move(key: string, triggerAt: number): Promise<Operation> {
    const path = `/reschedule/${key}?all=true`
    const isPast = (): boolean => triggerAt * 1000 <= Date.now()
    return this.#carryOut({
      ...{ ...about(key), does: 'move', method: 'POST', path, body: { trigger_at: triggerAt }, accepted: [200] },
      mayRefuse: (status) => WHILE_RUNNING(status) || (status === 400 && isPast()),
    })
  }

  /** @returns whether it need not be said again */
  async acknowledge(key: string, of: { readonly runId: string; readonly attempt: number }, status: string): Promise<boolean> {
    const body = { attempt: of.attempt, run_id: of.runId, status }
    // Noted before it is sent: a node that was frozen may take it at any time after.
    this.#keeper.noteAcknowledged(of)
    const reply = await this.#api.send({ method: 'POST', path: `/ack/${key}`, body })
    if (isUnknown(reply) || reply === 'no connection') return false
    if (![200, 404, 409].includes(reply.status)) this.#noteWrong(`POST /ack/${key}`, reply)
    return true
  }

  async #carryOut({ does, name, key, accepted, mayRefuse, ...request }: Command): Promise<Operation> {
    const sentAt = Date.now()
    const reply = await this.#api.send(request)
    const at = { does, name, sentAt, answeredAt: Date.now() }
    const operation = ((): Operation => {
      if (isUnknown(reply)) return { ...at, ...(key !== undefined && { key }), outcome: 'unknown' }
      if (reply === 'no connection') return { ...at, outcome: 'refused' }
      if (accepted.includes(reply.status))
        return { ...at, ...(key !== undefined && { key }), outcome: 'accepted', ...readAnswer(does, reply.body) }
      if (!mayRefuse(reply.status)) this.#noteWrong(`${request.method} ${request.path}`, reply)
      return { ...at, ...(key !== undefined && { key }), outcome: 'refused' }
    })()
    this.#keeper.note(operation)
    return operation
  }

  #noteWrong(request: string, { status, body }: Exclude<Reply, string>): void {
    this.#keeper.noteWrong(`${request} was answered with ${status}: ${JSON.stringify(body).slice(0, 300)}`)
  }
}

function isUnknown(reply: Reply): reply is Exclude<Reply, 'no connection'> & ('no answer' | { status: 503 }) {
  return reply === 'no answer' || (typeof reply === 'object' && reply.status === 503)
}

function about(key: string): { readonly name: string; readonly key: string } {
  return { name: nameOf(key), key }
}

/** Where the entry is now, and in which run; nothing where a move has found it running, and it has ended since. */
function readAnswer(does: Operation['does'], body: Record<string, unknown>): Partial<Operation> {
  if (does === 'remove') return {}
  const task = (does === 'move' ? (body['tasks'] as WireTask[])[0] : body['task']) as WireTask | undefined
  if (task === undefined) return { outcome: 'refused' }
  return { [does === 'move' ? 'newKey' : 'key']: keyOfTask(task), runId: task.run_id }
}
