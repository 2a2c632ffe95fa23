/** The people and programs around callme: they send requests, note what they asked for, and know what an answer must mean. */
import type { WireTask } from '../../src/wire/present-task.ts'
import { sendCommand } from './commands.ts'
import type { UsersOptions } from './commands.ts'
import { DAMAGES } from './damages.ts'
import type { Action, Decision } from './decisions.ts'
import { aSilentTask } from './definitions.ts'
import type { Body } from './definitions.ts'
import { isEnded } from './entry.ts'
import type { Entry } from './entry.ts'
import { Violation } from './model.ts'
import { Random } from './random.ts'
import { nameMatches, subjectOf } from './subjects.ts'
import { walk } from './walk.ts'
import { acknowledge, work } from './workers.ts'

type ActionOf<Do extends Action['do']> = Decision & Extract<Action, { do: Do }>

export class Users {
  readonly #options: UsersOptions

  constructor(options: UsersOptions) {
    this.#options = options
  }

  /** @throws Violation where an answer is not what it must be */
  async carryOut(decision: Decision): Promise<void> {
    switch (decision.do) {
      case 'put':
        return this.#put(decision)
      case 'put many':
        return this.#putMany(decision)
      case 'put crowd':
        return this.#putCrowd(decision)
      case 'run':
        return this.#run(decision)
      case 'delete':
        return this.#delete(decision)
      case 'delete all':
        return this.#deleteAll(decision)
      case 'reschedule':
      case 'reschedule all':
        return this.#reschedule(decision)
      case 'handler':
      case 'no handler':
        return this.#handler(decision)
      case 'ack':
        return this.#acknowledge(decision)
      case 'pull':
        return this.#pull(decision)
      case 'walk':
        return walk(decision, this.#options)
      case 'look':
        return this.#look(decision)
      case 'damage':
        return this.#damage(decision)
    }
  }

  #find(of: number): Entry | undefined {
    return subjectOf(of, this.#options.watch.entries)
  }

  #bodyText({ id }: Decision, name: string, body: Body): object {
    this.#options.model.bodies.set(`${id} ${name}`, body)
    return { ...body, payload: { of: id } }
  }

  async #put(decision: ActionOf<'put'>): Promise<void> {
    const { name, body, ifAbsent } = decision
    const { answer, isAlone } = await sendCommand(
      this.#options,
      { does: 'put', isAbout: (entry) => entry.name === name },
      {
        method: 'PUT',
        url: `/task/${encodeURIComponent(name)}`,
        headers: ifAbsent ? { 'if-none-match': '*' } : {},
        payload: JSON.stringify(this.#bodyText(decision, name, body)),
      },
    )
    if (answer === 'lost' || (answer.status !== 201 && answer.status !== 200)) return
    const { task } = JSON.parse(answer.body) as { task: WireTask }
    if (isAlone) this.#expectStored(`${task.task_name}@${task.trigger_at}`, decision.id)
  }

  #putMany(decision: ActionOf<'put many'>): Promise<void> {
    // The last one of a name wins, and says what is asked for.
    return this.#putAll(decision, new Map(decision.tasks))
  }

  /** One task for each of many hosts that hang. */
  #putCrowd(decision: ActionOf<'put crowd'>): Promise<void> {
    const random = new Random(this.#options.seed, 'crowd', decision.id)
    return this.#putAll(decision, new Map(Array.from({ length: decision.hosts }, (_, number) => aSilentTask(random, number))))
  }

  async #putAll(decision: Decision, bodies: ReadonlyMap<string, Body>): Promise<void> {
    const tasks = [...bodies].map(([name, body]) => ({ task_name: name, ...this.#bodyText(decision, name, body) }))
    const { answer, isAlone } = await sendCommand(
      this.#options,
      { does: 'put', isAbout: (entry) => bodies.has(entry.name) },
      { method: 'POST', url: '/tasks', payload: JSON.stringify(tasks) },
    )
    if (answer === 'lost' || (answer.status !== 200 && answer.status !== 207)) return
    const { results } = JSON.parse(answer.body) as { results: { status: number; key?: string }[] }
    for (const { key } of results) if (isAlone && key !== undefined) this.#expectStored(key, decision.id)
  }

  /** @throws Violation where it is not, though nobody can have replaced it, moved it or taken it away since */
  #expectStored(key: string, of: number): void {
    if (this.#options.watch.entries.get(key)?.of !== of) throw new Violation('what was accepted is stored', key)
  }

  async #run({ of, remove }: ActionOf<'run'>): Promise<void> {
    const entry = this.#find(of)
    if (entry === undefined) return
    const ended = this.#options.model.beginRun(entry.key)
    const path = encodeURIComponent(entry.key)
    const { answer } = await sendCommand(
      this.#options,
      { does: 'run', isAbout: ({ name, triggerAt }) => name === entry.name && triggerAt === entry.triggerAt },
      remove ? { method: 'DELETE', url: `/task/${path}?run=true` } : { method: 'POST', url: `/run/${path}` },
    )
    ended(answer === 'lost' || answer.status === 202)
  }

  async #delete({ of }: ActionOf<'delete'>): Promise<void> {
    const entry = this.#find(of)
    if (entry === undefined) return
    const { answer, isAlone } = await sendCommand(
      this.#options,
      {
        does: 'remove',
        isAbout: ({ name, triggerAt }) => name === entry.name && (triggerAt === entry.triggerAt || Number.isNaN(triggerAt)),
      },
      { method: 'DELETE', url: `/task/${encodeURIComponent(entry.key)}` },
    )
    if (answer === 'lost' || answer.status !== 200 || !isAlone) return
    if (this.#options.watch.entries.has(entry.key)) throw new Violation('what was deleted is gone', entry.key)
  }

  async #deleteAll({ name, states }: ActionOf<'delete all'>): Promise<void> {
    await sendCommand(
      this.#options,
      { does: 'remove', isAbout: (entry) => entry.name === name },
      { method: 'DELETE', url: `/task/${encodeURIComponent(name)}${states === '' ? '' : `?state=${states}`}` },
    )
  }

  async #reschedule(decision: ActionOf<'reschedule'> | ActionOf<'reschedule all'>): Promise<void> {
    const entry = decision.do === 'reschedule' ? this.#find(decision.of) : undefined
    const target = decision.do === 'reschedule' ? entry?.key : decision.name
    if (target === undefined) return
    const name = target.split('@')[0] ?? ''
    const dry = decision.do === 'reschedule all' && decision.dry
    const request = { method: 'POST', url: `/reschedule/${encodeURIComponent(target)}?all=${decision.all}&dry_run=${dry}` } as const
    const command = { does: 'move', isAbout: (one: { name: string }) => !dry && one.name === name } as const
    const ended = dry || decision.minutes > 0 ? undefined : this.#options.model.beginRun(name)
    const { answer, isAlone } = await sendCommand(this.#options, command, {
      ...request,
      payload: JSON.stringify({ trigger_at: `+${decision.minutes}m` }),
    })
    ended?.(answer === 'lost' || answer.status === 200)
    if (answer === 'lost' || answer.status !== 200 || dry || !isAlone) return
    const { tasks } = JSON.parse(answer.body) as { tasks: WireTask[] }
    const missing = tasks.map((task) => `${task.task_name}@${task.trigger_at}`).find((key) => !this.#options.watch.entries.has(key))
    if (missing !== undefined) throw new Violation('what was rescheduled is at its new time', missing)
  }

  async #handler(decision: ActionOf<'handler'> | ActionOf<'no handler'>): Promise<void> {
    const url = `/handler/${encodeURIComponent(decision.name)}?force=${decision.force}`
    const command = { does: 'handler', isAbout: ({ name }: { name: string }) => nameMatches(decision.name, name) } as const
    await sendCommand(
      this.#options,
      command,
      decision.do === 'handler' ? { method: 'PUT', url, payload: JSON.stringify(decision.body) } : { method: 'DELETE', url },
    )
  }

  async #acknowledge({ of, attempt, status }: ActionOf<'ack'>): Promise<void> {
    const entry = this.#find(of)
    if (entry !== undefined) await acknowledge(this.#options, { key: entry.key, attempt }, status)
  }

  async #pull({ id, limit, lease, wait }: ActionOf<'pull'>): Promise<void> {
    const { onPulled, seed } = this.#options
    const { answer } = await sendCommand(
      this.#options,
      { does: 'pull', isAbout: () => false },
      { method: 'POST', url: `/claim/pulled?limit=${limit}&lease=${lease}&wait=${wait}` },
    )
    if (answer === 'lost' || answer.status !== 200) return
    const { tasks } = JSON.parse(answer.body) as { tasks: WireTask[] }
    for (const task of tasks) {
      onPulled(task)
      const random = new Random(seed, 'worker', id, task.task_name)
      work(this.#options, { key: `${task.task_name}@${task.trigger_at}`, attempt: task.attempts }, random, random.int(1, lease * 1300))
    }
  }

  async #look({ of }: ActionOf<'look'>): Promise<void> {
    const entry = this.#find(of)
    if (entry === undefined) return
    const { watch, send } = this.#options
    const versionBefore = watch.version
    const answer = await send({ method: 'GET', url: `/status/${encodeURIComponent(entry.key)}` })
    if (answer === 'lost' || answer.status === 503 || watch.version !== versionBefore) return
    const [task] = (JSON.parse(answer.body) as { tasks?: WireTask[] }).tasks ?? []
    const attempts = (task?.history ?? []).filter((one) => one.run_id === entry.runId)
    if (isEnded(entry) && attempts.length !== entry.attempts)
      throw new Violation('every attempt is in the history', `${entry.key} made ${entry.attempts}, shown are ${attempts.length}`)
    if (entry.unreadable !== undefined && !task?.error?.includes(entry.unreadable))
      throw new Violation('what cannot be read says why', `${entry.key}: ${task?.error ?? answer.status}`)
    const isSame = task?.task_state === entry.state && task.run_id === entry.runId && task.attempts === entry.attempts
    if (!isSame)
      throw new Violation('an entry is shown as it is', `${entry.key} is ${entry.state}, shown is ${task?.task_state ?? answer.status}`)
  }

  async #damage({ of, how }: ActionOf<'damage'>): Promise<void> {
    const entry = this.#find(of)
    const damage = DAMAGES[how]
    if (entry !== undefined && damage !== undefined) await this.#options.damage(entry, damage.text)
  }
}
