/**
 * Group commit: writes that arrive in one turn of the event loop share one transaction and one fsync, and each is
 * answered after the commit. Each has a savepoint of its own, so one that is refused hurts nobody.
 */
import type { Database, Statement } from 'better-sqlite3'
import { storeError } from './store-error.ts'

interface Member {
  readonly work: () => unknown
  readonly resolve: (value: never) => void
  readonly reject: (reason: unknown) => void
}

/** Thrown by a write that wants its changes undone and its value answered all the same. */
export class Undo {
  readonly value: unknown
  constructor(value: unknown) {
    this.value = value
  }
}

export class GroupCommit {
  readonly #db: Database
  readonly #begin: Statement
  readonly #commit: Statement
  readonly #rollback: Statement
  readonly #savepoint: Statement
  readonly #release: Statement
  readonly #undo: Statement
  #members: Member[] = []

  constructor(db: Database) {
    this.#db = db
    this.#begin = db.prepare('BEGIN IMMEDIATE')
    this.#commit = db.prepare('COMMIT')
    this.#rollback = db.prepare('ROLLBACK')
    this.#savepoint = db.prepare('SAVEPOINT member')
    this.#release = db.prepare('RELEASE member')
    this.#undo = db.prepare('ROLLBACK TO member')
  }

  /** Resolves with what `work` returned once that is durable; rejects, with nothing changed, when it is not. */
  write<T>(work: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#members.push({ work, resolve, reject })
      if (this.#members.length === 1) {
        setImmediate(() => {
          this.#flush()
        })
      }
    })
  }

  /** Resolves when no write waits. */
  async settled(): Promise<void> {
    while (this.#members.length > 0) await new Promise((resolve) => setImmediate(resolve))
  }

  #flush(): void {
    const members = this.#members
    this.#members = []
    try {
      this.#begin.run()
      const answers = members.map((member) => this.#runMember(member))
      this.#commit.run()
      for (const answer of answers) answer()
    } catch (error) {
      if (this.#db.inTransaction) this.#rollback.run()
      const reason = storeError(error)
      for (const member of members) member.reject(reason)
    }
  }

  /** @returns what to tell the member once the group has committed */
  #runMember(member: Member): () => void {
    this.#savepoint.run()
    try {
      const value = member.work()
      this.#release.run()
      return () => {
        member.resolve(value as never)
      }
    } catch (error) {
      // A full disk can end the whole transaction: then there is no savepoint left, and no member was stored.
      if (!this.#db.inTransaction) throw error
      this.#undo.run()
      this.#release.run()
      return error instanceof Undo
        ? () => {
            member.resolve(error.value as never)
          }
        : () => {
            member.reject(storeError(error))
          }
    }
  }
}
