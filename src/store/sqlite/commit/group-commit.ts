/**
 * Group commit: writes that arrive in one turn of the event loop share one transaction and one fsync, and each is answered
 * after the commit. A group is first written as a whole; where a member is refused, it is written again with a savepoint for
 * each, so that the others are stored all the same.
 */
import { SqliteError } from 'better-sqlite3'
import type { Database, Statement } from 'better-sqlite3'
import type { ChangeLog } from '../history/change-log.ts'
import { Changes } from '../../rules/changes.ts'
import { storeError } from './store-error.ts'

/** Changes rows, and says what it has changed. May be run again after a rollback. */
export type Work<T> = (changes: Changes) => T

/** How long a write waits while another program writes to the file, and how often it looks. */
const PATIENCE_MS = 5000
const TRY_AGAIN_MS = 20
/** More than this many wait for the next turn, so that other work is let in between. */
const MOST_MEMBERS = 128

interface Member {
  /** when it came, in monotonic ms */
  readonly since: number
  readonly work: Work<unknown>
  readonly resolve: (value: never) => void
  readonly reject: (reason: unknown) => void
}

/** Thrown by a write that wants its changes undone and its value answered all the same. */
export class Undo extends Error {
  readonly value: unknown
  constructor(value: unknown) {
    super('undone on purpose')
    this.value = value
  }
}

interface Hooks {
  readonly onCommit: () => void
  readonly onRollback: () => void
}

export class GroupCommit {
  readonly #db: Database
  readonly #changeLog: ChangeLog
  readonly #hooks: Hooks
  readonly #sql: Readonly<Record<'begin' | 'commit' | 'rollback' | 'savepoint' | 'release' | 'undo', Statement>>
  #members: Member[] = []
  /** whether a flush will come without being asked for */
  #isFlushSet = false

  /** @param hooks are told that a group is durable, and that something which was written has been undone */
  constructor(db: Database, changeLog: ChangeLog, hooks: Hooks) {
    this.#db = db
    this.#changeLog = changeLog
    this.#hooks = hooks
    this.#sql = {
      begin: db.prepare('BEGIN IMMEDIATE'),
      commit: db.prepare('COMMIT'),
      rollback: db.prepare('ROLLBACK'),
      savepoint: db.prepare('SAVEPOINT member'),
      release: db.prepare('RELEASE member'),
      undo: db.prepare('ROLLBACK TO member'),
    }
  }

  /** Resolves with what `work` returned once that is durable; rejects, with nothing changed, when it is not. */
  write<T>(work: Work<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#members.push({ since: performance.now(), work, resolve, reject })
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
      refuse(members, error)
    }
    if (this.#members.length > 0) this.#flushSoon()
  }

  /** Another program writes to the file: those that have patience left are written once it lets go. */
  #waitForFile(members: readonly Member[], error: unknown): void {
    const now = performance.now()
    const [impatient, patient]: [Member[], Member[]] = [[], []]
    for (const member of [...members, ...this.#members]) (now - member.since < PATIENCE_MS ? patient : impatient).push(member)
    this.#members = patient
    refuse(impatient, error)
    if (patient.length === 0) return
    this.#isFlushSet = true
    setTimeout(() => {
      this.#flush()
    }, TRY_AGAIN_MS)
  }

  /**
   * @returns what to do after the commit, or undefined where a member threw and nothing is written
   * @throws what `BEGIN` or `COMMIT` threw; nothing is written then
   */
  #writeTogether(members: readonly Member[]): (() => void)[] | undefined {
    const changes = new Changes()
    this.#sql.begin.run()
    try {
      const answers = members.map(({ work, resolve }) => resolving(resolve, work(changes)))
      this.#changeLog.write(changes)
      this.#commitOrRollBack()
      return answers
    } catch (error) {
      const mayWriteEach = this.#db.inTransaction
      this.#rollBack()
      if (!mayWriteEach) throw error
      return undefined
    }
  }

  #writeEach(members: readonly Member[]): (() => void)[] {
    this.#sql.begin.run()
    try {
      const answers = members.map((member) => this.#writeOne(member))
      this.#commitOrRollBack()
      return answers
    } catch (error) {
      this.#rollBack()
      throw error
    }
  }

  #writeOne({ work, resolve, reject }: Member): () => void {
    const changes = new Changes()
    this.#sql.savepoint.run()
    try {
      const value = work(changes)
      this.#changeLog.write(changes)
      this.#sql.release.run()
      return resolving(resolve, value)
    } catch (error) {
      // A full disk can end the whole transaction: then there is no savepoint left, and no member was stored.
      if (!this.#db.inTransaction) throw error
      this.#sql.undo.run()
      this.#sql.release.run()
      this.#hooks.onRollback()
      if (error instanceof Undo) return resolving(resolve, error.value)
      return () => {
        reject(storeError(error))
      }
    }
  }

  #commitOrRollBack(): void {
    try {
      this.#sql.commit.run()
    } catch (error) {
      this.#rollBack()
      throw error
    }
  }

  #rollBack(): void {
    if (this.#db.inTransaction) this.#sql.rollback.run()
    this.#hooks.onRollback()
  }
}

function refuse(members: readonly Member[], error: unknown): void {
  const reason = storeError(error)
  for (const member of members) member.reject(reason)
}

function isBusy(error: unknown): boolean {
  return error instanceof SqliteError && error.code.startsWith('SQLITE_BUSY')
}

function resolving(resolve: Member['resolve'], value: unknown): () => void {
  return () => {
    resolve(value as never)
  }
}
