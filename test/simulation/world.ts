/** A world: a store, nodes that come and go, receivers, users and misfortunes, and a time that passes when all have come to rest. */
import type { Decision } from './decisions.ts'
import type { UsersOptions } from './commands.ts'
import { verify } from '../../src/verify/verify.ts'
import { Judge, RECOVERY_MS } from './judge.ts'
import { Misfortunes } from './misfortunes.ts'
import { Model, Violation } from './model.ts'
import { Network } from './network.ts'
import type { Answer, ClientRequest } from './node.ts'
import { Nodes } from './nodes.ts'
import type { Tamper } from './nodes.ts'
import { Random } from './random.ts'
import { Trace } from './trace.ts'
import { Users } from './users.ts'
import { accept } from './workers.ts'
import type { WorldStore } from './world-store.ts'
import { WorldTime } from './world-time.ts'

/** 2027-01-15T08:00:00Z */
const BEGINNING = 1_800_000_000_000
/** So many turns of the event loop without anything under way, and everything has come to rest. */
const QUIET_TURNS = 6
const MOST_TURNS = 20_000
/** Where nothing happens for longer, the nodes stand still until shortly before something does. */
const SKIPPED_MS = 3000
const BEFORE_MS = 1500
/** Where a store serves several nodes, so many share it. */
const SHARING_NODES = 2
/** The longest window that a task is given, and some time to end it. */
const AFTERLIFE_MS = 4 * 3_600_000

export class World {
  readonly trace = new Trace()
  readonly #time = new WorldTime(BEGINNING)
  readonly #model = new Model(this.#time)
  readonly #store: WorldStore
  readonly #network: Network
  readonly #nodes: Nodes
  readonly #judge: Judge
  readonly #users: Users
  readonly #misfortunes: Misfortunes

  /** @param tamper verbs that take the place of the store's own, to show that the rules bite */
  constructor(seed: number, store: WorldStore, tamper: Tamper = () => ({})) {
    this.#store = store
    const random = new Random(seed, 'settings')
    const maxInflight = random.pick([3, 8, 32])
    const settings = {
      maxInflight,
      maxOpenCalls: random.pick([maxInflight, 256, 1024]),
      maxInflightPerHost: random.pick([undefined, 2]),
      retentionMs: random.pick([0, 3_600_000, 12 * 3_600_000]),
    }
    const time = this.#time
    const trace = (line: string): void => {
      this.trace.add(`${new Date(time.now).toISOString()} ${line}`)
    }
    this.#network = new Network({
      ...{ seed, time },
      onCall: (call) => {
        this.#judge.called(call)
      },
    })
    this.#nodes = new Nodes({
      ...{ seed, settings, time, network: this.#network, store, tamper },
      onError: (event, error) => {
        // The network makes nodes short now and then.
        if (!this.#misfortunes.mayRefuse && event !== 'node.short')
          this.#judge.fail(new Violation('no error is without its cause', `${event}: ${String(error)}`))
      },
      onTurn: (name, turn) => {
        trace(`${name} ${turn}`)
        this.#judge.look()
        this.#misfortunes.disturbed()
      },
    })
    this.#judge = new Judge({
      ...{ settings, time, model: this.#model, network: this.#network, store, trace },
      isAlive: (node) => this.#nodes.isAlive(node),
      wellFor: () => this.#misfortunes.wellFor(),
      isUnsteady: () => this.#misfortunes.isUnsteady,
      settle: () => this.#settle(),
      onCall: (call, entry) => {
        accept(asked, call, entry)
      },
    })
    this.#misfortunes = new Misfortunes({ seed, time, store, network: this.#network, nodes: this.#nodes })
    const asked: UsersOptions = {
      ...{ seed, time, trace, model: this.#model, watch: this.#judge.watch },
      send: (request) => this.#send(request),
      damage: async (task, text) => {
        await store.damage(task, text)
        await this.#judge.refresh()
      },
      onPulled: (task) => {
        this.#judge.pulled(task)
      },
    }
    this.#users = new Users(asked)
  }

  /**
   * Has a history happen, and then lets time pass until every task has ended.
   * @returns how many ms have passed
   * @throws Violation where a rule does not hold
   */
  async live(history: readonly Decision[]): Promise<number> {
    const time = this.#time
    for (const decision of history)
      time.after(decision.at, () => {
        this.#carryOut(decision)
      })
    for (let node = 1; node <= (this.#store.isShared ? SHARING_NODES : 1); node += 1) await this.#nodes.start()
    await this.#passTo(Math.max(0, ...history.map(({ at }) => at)))
    await this.#passTo(time.elapsed + this.#misfortunes.lastFor() + RECOVERY_MS)
    // From here on no handler holds anything back.
    for (const name of this.#model.handlers.keys()) {
      this.#carryOut({ id: -1, at: 0, do: 'handler', name, body: { callback: 'http://one.test/' }, force: true })
      await this.#settle()
    }
    await this.#passTo(time.elapsed + AFTERLIFE_MS)
    this.#judge.end()
    await this.#checkLedger()
    return time.elapsed
  }

  async #checkLedger(): Promise<void> {
    const { ok, breaches } = await this.#store.readLedger((ledger) => verify(ledger, { now: this.#time.now }))
    const told = breaches.map(({ promise, task, detail }) => `${promise}: ${task ?? 'the store'}: ${detail}`)
    if (!ok) throw new Violation('the ledger says that every promise was kept', told.join('\n'))
  }

  #carryOut(decision: Decision): void {
    const { id, at: _at, ...action } = decision
    this.trace.add(`${new Date(this.#time.now).toISOString()} #${id} ${JSON.stringify(action)}`)
    if (this.#misfortunes.carryOut(decision)) return
    this.#users.carryOut(decision).catch((error: unknown) => {
      this.#judge.fail(error)
    })
  }

  async #passTo(end: number): Promise<void> {
    const time = this.#time
    while (time.elapsed < end) {
      time.passTo(Math.min(end, this.#nextMoment()))
      for (let wake = time.takeDue(); wake; wake = time.takeDue()) {
        wake()
        await this.#settle()
      }
      const node = this.#nodes.areUp ? this.#nodes.any() : undefined
      if (node !== undefined) await this.#judge.rest(node, time.next('all') > time.elapsed)
    }
  }

  #nextMoment(): number {
    const time = this.#time
    const next = time.next('all')
    if (this.#network.awaited() > 0 || !this.#nodes.areUp) return next
    const moment = this.#judge.watch.nextMoment(time.now) ?? Infinity
    const skipped = Math.min(time.next('world'), time.elapsed + moment - time.now - BEFORE_MS)
    return skipped > time.elapsed + SKIPPED_MS ? skipped : next
  }

  /** Lets everything that is under way go on until all of it waits for time to pass. */
  async #settle(): Promise<void> {
    for (let [turns, quiet] = [0, 1]; quiet <= QUIET_TURNS; turns += 1) {
      const { version } = this.#judge.watch
      // Where nodes wait for a server, it is given some time.
      await new Promise((resolve) => (this.#store.seesEachCommit || quiet > 0 ? setImmediate(resolve) : setTimeout(resolve, 1)))
      this.#judge.look()
      const isMoving = this.#nodes.isMoving || this.#judge.watch.version !== version
      this.#nodes.turn(isMoving)
      quiet = isMoving ? 0 : quiet + 1
      if (this.#judge.failure !== undefined) throw this.#judge.failure
      if (turns > MOST_TURNS) throw new Violation('a node comes to rest', `not after ${turns} turns of the event loop`)
    }
    if (!this.#store.seesEachCommit) await this.#judge.refresh()
  }

  /** What was committed before the answer is known when it is there. */
  async #send(request: ClientRequest): Promise<Answer> {
    const answer = await this.#nodes.request(request)
    await this.#judge.refresh()
    const isRight = answer === 'lost' || answer.status < 500 || (answer.status === 503 && this.#misfortunes.mayRefuse)
    if (!isRight) this.#judge.fail(new Violation('the API answers', `${request.method} ${request.url}: ${answer.status} ${answer.body}`))
    return answer
  }
}
