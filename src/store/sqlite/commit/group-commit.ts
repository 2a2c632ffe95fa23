/**
 * Group commit: the writes of one turn of the event loop share one transaction and one fsync, and each is answered after the commit.
 * A group is written as a whole. Where a member fails, the group is written again with a savepoint for each member.
 */
import { SqliteError } from 'better-sqlite3'
import type { Database, Transaction } from 'better-sqlite3'
import { Changes } from '../../rules/changes.ts'
import { storeError } from './store-error.ts'

/** Writes rows and notes the changes of them. May run again after a rollback. */
export type Work<T> = (changes: Changes) => T

/** How long a write waits while another program writes to the file, and how often it tries. */
const PATIENCE_MS = 5000
const TRY_AGAIN_MS = 20
/** Further members wait for the next turn, so that other work gets its turn in between. */
const MOST_MEMBERS = 128

type Answer = () => void

interface Member {
  /** when it came, in monotonic ms */
  readonly since: number
  readonly write: (changes: Changes) => Answer
  readonly refuse: (error: unknown) => void
}

/** A write throws this to have its changes undone and its value answered all the same. */
export class Undo extends Error {
  readonly value: unknown
  constructor(value: unknown) {
    super('undone on purpose')
    this.value = value
  }
}

interface Hooks {
  /** Writes the changes, inside their transaction. */
  readonly write: (changes: Changes) => void
  /** The group is durable. */
  readonly onCommit: () => void
  /** Written rows may have been undone. */
  readonly onRollback: () => void
}

export class GroupCommit {
  readonly #db: Database
  readonly #hooks: Hooks
  /** a savepoint inside a transaction */
  readonly #transaction: Transaction<(write: () => Answer[]) => Answer[]>
  #members: Member[] = []
  /** whether a flush comes by itself */
  #isFlushSet = false

  constructor(db: Database, hooks: Hooks) {
    this.#db = db
    this.#hooks = hooks
    this.#transaction = db.transaction((write: () => Answer[]) => write())
  }

  /** Resolves with the value of `work` once its changes are durable; rejects with nothing changed. */
  write<T>(work: Work<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#members.push({
        since: performance.now(),
        write: (changes) => {
          const value = work(changes)
          return () => {
            resolve(value)
          }
        },
        refuse: (error) => {
          if (error instanceof Undo) resolve(error.value as T)
          else reject(storeError(error) as Error)
        },
      })
      this.#flushSoon()
    })
  }

  /** Resolves when no write waits. */
  async drained(): Promise<void> {
    while (this.#members.length > 0) await new Promise((resolve) => setImmediate(resolve))
  }

  #flushSoon(): void {
    if (this.#isFlushSet) return
    this.#isFlushSet = true
    setImmediate(() => {
      this.#flush()
    })
  }

  #flush(): void {
    this.#isFlushSet = false
    const members = this.#members.splice(0, MOST_MEMBERS)
    if (members.length === 0) return
    try {
      for (const answer of this.#writeTogether(members) ?? this.#writeEach(members)) answer()
      this.#hooks.onCommit()
    } catch (error) {
      if (isBusy(error)) {
        this.#waitForFile(members, error)
        return
      }
      for (const member of members) member.refuse(error)
    }
    if (this.#members.length > 0) this.#flushSoon()
  }

  /** Another program writes to the file: members with patience left are written once it lets go. */
  #waitForFile(members: readonly Member[], error: unknown): void {
    const now = performance.now()
    const [impatient, patient]: [Member[], Member[]] = [[], []]
    for (const member of [...members, ...this.#members]) (now - member.since < PATIENCE_MS ? patient : impatient).push(member)
    this.#members = patient
    for (const member of impatient) member.refuse(error)
    if (patient.length === 0) return
    this.#isFlushSet = true
    setTimeout(() => {
      this.#flush()
    }, TRY_AGAIN_MS)
  }

  /**
   * @returns undefined, with nothing written, where a member failed
   * @throws the error of `BEGIN`, of `COMMIT` or of a lost transaction; nothing is written then
   */
  #writeTogether(members: readonly Member[]): Answer[] | undefined {
    let hasMemberFailed = false
    try {
      return this.#transaction.immediate(() => {
        try {
          return this.#write(members)
        } catch (error) {
          hasMemberFailed = this.#db.inTransaction
          throw error
        }
      })
    } catch (error) {
      this.#hooks.onRollback()
      if (!hasMemberFailed) throw error
      return undefined
    }
  }

  #writeEach(members: readonly Member[]): Answer[] {
    try {
      return this.#transaction.immediate(() => members.flatMap((member) => this.#writeOne(member)))
    } catch (error) {
      this.#hooks.onRollback()
      throw error
    }
  }

  #writeOne(member: Member): Answer[] {
    try {
      return this.#transaction(() => this.#write([member]))
    } catch (error) {
      // A full disk can end the whole transaction: then no savepoint is left, and no member is stored.
      if (!this.#db.inTransaction) throw error
      this.#hooks.onRollback()
      return [
        () => {
          member.refuse(error)
        },
      ]
    }
  }

  #write(members: readonly Member[]): Answer[] {
    const changes = new Changes()
    const answers = members.map((member) => member.write(changes))
    this.#hooks.write(changes)
    return answers
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof SqliteError && error.code.startsWith('SQLITE_BUSY')
}
