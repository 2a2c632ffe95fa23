/** Looks at what the store, the network and the event stream of a world show, and holds it against the rules. */
import { setTimeout } from 'node:timers/promises'
import type { WireTask } from '../../src/wire/present-task.ts'
import { checkCall } from './call-rules.ts'
import { SILENT } from './definitions.ts'
import { isEnded } from './entry.ts'
import type { Entry } from './entry.ts'
import { Listener } from './listener.ts'
import { Violation } from './model.ts'
import type { Model } from './model.ts'
import type { Call, Network } from './network.ts'
import type { NodeSettings, SimulatedNode } from './node.ts'
import { checkCounts, checkNothingLeft, mostOpen } from './rest-rules.ts'
import type { RuleContext } from './rule-context.ts'
import { endingsOf } from './running-rules.ts'
import { Watch } from './watch.ts'
import type { WorldStore } from './world-store.ts'
import type { WorldTime } from './world-time.ts'

interface JudgeOptions {
  readonly settings: NodeSettings
  readonly time: WorldTime
  readonly model: Model
  readonly network: Network
  readonly store: WorldStore
  readonly isAlive: (node: string | null) => boolean
  /** for how many ms nothing has gone wrong */
  readonly wellFor: () => number
  /** whether what a write goes by may be older than now */
  readonly isUnsteady: () => boolean
  readonly trace: (line: string) => void
  /** lets what is under way go on, and takes note of what comes of it */
  readonly settle: () => Promise<void>
  /** is told of each call that may be made */
  readonly onCall: (call: Call, entry: Entry) => void
}

/** After a misfortune, how long until everything must be as if there had been none. */
export const RECOVERY_MS = 90_000
const LOOK_EVERY_MS = 10_000
const LISTEN_EVERY_MS = 10 * 60_000
/** Real time: how long word of another node's change may take. */
const [WORD_TRIES, WORD_AGAIN_MS] = [100, 50]
/** A series goes on for ever: what lies ahead need not have ended. */
const ENDED_AFTER_MS = 3 * 3_600_000

export class Judge {
  readonly watch = new Watch()
  /** the first rule that did not hold, or whatever else went wrong */
  failure: Error | undefined
  readonly #options: JudgeOptions
  readonly #context: { -readonly [Field in keyof RuleContext]: RuleContext[Field] }
  readonly #listener: Listener
  /** calls that the entries must be fetched for before they can be judged */
  #calls: Call[] = []
  #refreshing = Promise.resolve()
  #checkedVersion = -1
  #listenedAt = 0
  #lookedAt = 0

  constructor(options: JudgeOptions) {
    this.#options = options
    const { time, model, network, settings, isAlive } = options
    this.#context = {
      ...{ model, time, network, isAlive, entries: this.watch.entries, retentionMs: settings.retentionMs },
      ...{
        pruned: new Set(),
        recorded: new Set(),
        isUnsteady: false,
        isWell: true,
        starts: new Map(),
        pulled: new Set(),
        overtaken: new Set(),
      },
      hasSucceeded: (entry) => endingsOf(entry, this.#context).includes('succeeded'),
    }
    this.#listener = new Listener(this.#context.pruned, (violation) => {
      this.fail(violation)
    })
  }

  fail(error: unknown): void {
    this.failure ??= error instanceof Error ? error : new Error(String(error))
  }

  /** Takes note of what has been committed, where that is seen at once. */
  look(): void {
    if (this.#options.store.seesEachCommit) this.#take()
  }

  /** Takes note of all that has been committed. */
  async refresh(): Promise<void> {
    const { store } = this.#options
    if (store.seesEachCommit) {
      this.#take()
      return
    }
    this.#refreshing = this.#refreshing.then(async () => {
      // A call that is made meanwhile may be of a claim that is not fetched yet.
      const calls = this.#calls.splice(0)
      await store.refresh()
      this.#take()
      for (const call of calls) this.#judgeCall(call)
    })
    await this.#refreshing
  }

  /** Commands that have been answered explain nothing any more. */
  #take(): void {
    const { store, model, wellFor, isUnsteady, trace } = this.#options
    const committed = store.look()
    try {
      this.#context.isUnsteady = isUnsteady()
      this.#context.isWell = wellFor() > RECOVERY_MS
      if (committed === undefined) return
      for (const [id, row] of committed.rows)
        trace(
          row === undefined ? `${id} is gone` : `${row.name}@${row.trigger_at} is ${row.state}, ${row.attempts} attempts, ${row.lost} lost`,
        )
      this.watch.take(committed, this.#context)
    } catch (error) {
      this.fail(error)
    } finally {
      model.forgetEnded()
    }
  }

  /** A call is about to leave its node. */
  called(call: Call): void {
    const { network, settings, store, trace } = this.#options
    const key = call.request.headers['callme-task'] ?? ''
    trace(`${call.node} calls ${key}, attempt ${call.attempt}`)
    const { maxOpenCalls, maxInflightPerHost = Infinity } = settings
    const { host } = new URL(call.request.url)
    const ofHost = network.inflight(call.node, host)
    if (network.inflight(call.node) >= maxOpenCalls || ofHost >= maxInflightPerHost)
      this.fail(new Violation('no more calls are open than may be', `${ofHost} of the host of ${key}`))
    if (host.startsWith(SILENT) && network.inflightToSilent(call.node) >= mostOpen('new', settings))
      this.fail(new Violation('hosts that never answer leave calls to those that do', `${key} is called`))
    this.look()
    if (store.seesEachCommit) this.#judgeCall(call)
    else this.#calls.push(call)
  }

  #judgeCall(call: Call): void {
    try {
      const entry = this.watch.byRun.get(call.runId)
      checkCall(call, entry, this.#context)
      this.#options.onCall(call, entry)
    } catch (error) {
      this.fail(error)
    }
  }

  /** A worker was given a task. @throws Violation where another one has it */
  pulled(task: WireTask): void {
    const given = `${task.run_id} ${task.attempts}`
    if (this.#context.pulled.has(given)) throw new Violation('a task is given to one worker', `${task.task_name}@${task.trigger_at}`)
    this.#context.pulled.add(given)
  }

  /**
   * Nothing is under way.
   * @param isOnTime whether nobody's timer is overdue
   * @throws Violation where a rule does not hold
   */
  async rest(node: SimulatedNode, isOnTime: boolean): Promise<void> {
    const { store, time, settings, wellFor } = this.#options
    this.#listener.connect(node)
    if (this.#checkedVersion !== this.watch.version) {
      this.#checkedVersion = this.watch.version
      const counts = store.counts()
      if (counts !== undefined) checkCounts(counts, this.#context)
    }
    const isWell = wellFor() > RECOVERY_MS
    await this.#checkEvents(isWell)
    if (!isWell || !isOnTime || time.elapsed < this.#lookedAt + LOOK_EVERY_MS) return
    this.#lookedAt = time.elapsed
    checkNothingLeft(this.#context, settings)
  }

  /** Word of a change takes its time where it comes from another node. */
  async #checkEvents(isWell: boolean): Promise<void> {
    const { store, time } = this.#options
    if (!store.seesEachCommit) {
      if (!isWell || time.elapsed < this.#listenedAt + LISTEN_EVERY_MS) return
      this.#listenedAt = time.elapsed
      for (let tries = 0; tries < WORD_TRIES && this.#listener.lastId !== store.newestChange(); tries += 1) {
        await setTimeout(WORD_AGAIN_MS)
        await this.#options.settle()
      }
    }
    const [told, newest] = [this.#listener.lastId, store.newestChange()]
    if (told === newest) this.#listener.check(this.watch.entries)
    else if (isWell && this.#listener.isConnected) throw new Violation('every event is told', `told are ${told}, there are ${newest}`)
  }

  /** @throws Violation where a task has not ended */
  end(): void {
    for (const entry of this.watch.entries.values()) {
      const isOver = Math.max(entry.triggerAt * 1000, entry.updated) < this.#options.time.now - ENDED_AFTER_MS
      if (isOver && !isEnded(entry)) throw new Violation('every task ends', `${entry.key} is ${entry.state}`)
    }
  }
}
