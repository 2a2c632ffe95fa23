/**
 * Group commit: the writes of one turn of the event loop share one transaction and one fsync, and each is answered after the commit.
 * A group is written as a whole. Where that fails, the group is written again with a savepoint for each member.
 */
import type { Database, Transaction } from 'better-sqlite3'
import { isBusy, storeError } from './store-error.ts'

/** While another program writes to the file, a write waits this long at the most, and tries in these steps. */
const PATIENCE_MS = 5000
const TRY_AGAIN_MS = 20
/** Further members wait for the next turn, so that other work gets its turn in between. Only a single member may weigh more. */
const MOST_ROWS = 128
/** A write of more rows is heavy: it has a group of its own. Light ones, such as claims, wait for one heavy one at the most. */
const MOST_LIGHT_ROWS = 64

interface Member<Context> {
  readonly weight: number
  /** monotonic ms of its call */
  readonly since: number
  readonly work: (context: Context) => unknown
  readonly resolve: (value: unknown) => void
  readonly reject: (reason: unknown) => void
}

/** A member's value, or the error that has undone its changes. Given after the commit. */
interface Answer<Context> {
  readonly member: Member<Context>
  readonly value?: unknown
  readonly error?: unknown
}

/** A write throws this to have its changes undone and its value answered all the same. */
export class Undo extends Error {
  readonly value: unknown
  constructor(value: unknown) {
    super('undone on purpose')
    this.value = value
  }
}

interface Hooks<Context> {
  /** Makes the context of writes that succeed or fail together. */
  readonly begin: () => Context
  /** Ends these writes, still inside their transaction. */
  readonly end: (context: Context) => void
  /** The group is committed. Throws where that counts for nothing, because the file is gone. */
  readonly confirm: () => void
  /** The group is durable. */
  readonly onCommit: () => void
  /** Written rows may have been undone, because of this error. */
  readonly onRollback: (error: unknown) => void
}

export class GroupCommit<Context> {
  readonly #db: Database
  readonly #hooks: Hooks<Context>
  /** inside a transaction: a savepoint */
  readonly #transaction: Transaction<(write: () => Answer<Context>[]) => Answer<Context>[]>
  #members: Member<Context>[] = []
  #flushing: Promise<void> | undefined
  /** whether the last group was one of light writes, and others waited */
  #wasLight = false

  constructor(db: Database, hooks: Hooks<Context>) {
    this.#db = db
    this.#hooks = hooks
    this.#transaction = db.transaction((write: () => Answer<Context>[]) => write())
  }

  /**
   * Resolves with the value of `work` once its changes are durable; rejects with nothing changed.
   * @param work may run again after a rollback
   * @param weight about how many rows it writes
   */
  write<T>(work: (context: Context) => T, weight = 1): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#members.push({ weight, since: performance.now(), work, resolve: resolve as (value: unknown) => void, reject })
      this.#flushing ??= this.#flush()
    })
  }

  /** Resolves once all writes are answered. */
  async drained(): Promise<void> {
    while (this.#flushing) await this.#flushing
  }

  async #flush(): Promise<void> {
    while (this.#members.length > 0) {
      await new Promise((resolve) => setImmediate(resolve))
      const members = this.#nextGroup()
      try {
        const answers = this.#writeGroup(members)
        this.#hooks.confirm()
        for (const { member, error, value } of answers) {
          if (error === undefined) member.resolve(value)
          else member.reject(storeError(error, this.#db.name))
        }
        this.#hooks.onCommit()
      } catch (error) {
        if (isBusy(error)) await this.#waitForFile(members, error)
        else for (const { reject } of members) reject(storeError(error, this.#db.name))
      }
    }
    this.#wasLight = false
    this.#flushing = undefined
  }

  /** A heavy write and many light ones take turns. Light ones keep their order, and so do heavy ones. */
  #nextGroup(): readonly Member<Context>[] {
    const light = this.#members.filter(({ weight }) => weight <= MOST_LIGHT_ROWS)
    const heavy = this.#members.find(({ weight }) => weight > MOST_LIGHT_ROWS)
    const isTurnOfHeavy = heavy !== undefined && (light.length === 0 || this.#wasLight)
    const group = new Set(isTurnOfHeavy ? [heavy] : firstRows(light))
    this.#wasLight = !isTurnOfHeavy
    this.#members = this.#members.filter((member) => !group.has(member))
    return [...group]
  }

  /** Another program writes to the file. Members wait for it as long as they have patience. */
  async #waitForFile(members: readonly Member<Context>[], error: unknown): Promise<void> {
    const now = performance.now()
    const isPatient = ({ since }: Member<Context>): boolean => now - since < PATIENCE_MS
    const waiting = [...members, ...this.#members]
    this.#members = waiting.filter(isPatient)
    for (const member of waiting) if (!isPatient(member)) member.reject(storeError(error, this.#db.name))
    if (this.#members.length > 0) await new Promise((resolve) => setTimeout(resolve, TRY_AGAIN_MS))
  }

  /** @throws the error of `BEGIN`, of `COMMIT` or of a lost transaction; nothing is written then */
  #writeGroup(members: readonly Member<Context>[]): Answer<Context>[] {
    try {
      return this.#attempt(() => this.#write(members))
    } catch (error) {
      if (isBusy(error)) throw error
    }
    return this.#attempt(() => members.flatMap((member) => this.#writeOne(member)))
  }

  #writeOne(member: Member<Context>): Answer<Context>[] {
    try {
      return this.#attempt(() => this.#write([member]))
    } catch (error) {
      // A full disk can end the whole transaction: then no savepoint is left, and no member is stored.
      if (!this.#db.inTransaction) throw error
      return [error instanceof Undo ? { member, value: error.value } : { member, error }]
    }
  }

  #write(members: readonly Member<Context>[]): Answer<Context>[] {
    const context = this.#hooks.begin()
    const answers = members.map((member) => ({ member, value: member.work(context) }))
    this.#hooks.end(context)
    return answers
  }

  #attempt(write: () => Answer<Context>[]): Answer<Context>[] {
    try {
      return this.#transaction.immediate(write)
    } catch (error) {
      this.#hooks.onRollback(error)
      throw error
    }
  }
}

/** The first of all, as many as one turn has time for. */
function firstRows<Context>(members: readonly Member<Context>[]): readonly Member<Context>[] {
  let rows = 0
  const end = members.findIndex(({ weight }) => (rows += weight) > MOST_ROWS)
  return end === -1 ? members : members.slice(0, end)
}
