/** What a write works with: its statements, what they change, what other nodes must know, and what is to be remembered once it is durable. */
import { Changes } from '../../rules/changes.ts'
import type { Queries } from './database.ts'
import { CommitNotes } from './commit-notes.ts'

export class Transaction implements Queries {
  readonly changes = new Changes()
  readonly notes = new CommitNotes()
  readonly #queries: Queries
  readonly #afterCommit: (() => void)[] = []

  constructor(queries: Queries) {
    this.#queries = queries
  }

  query<R>(sql: string, params?: readonly unknown[]): Promise<R[]> {
    return this.#queries.query<R>(sql, params)
  }

  /** Whether it has written something that must not be written twice, although it tells nobody. */
  isWriting = false

  /** Remembers something only once what was written is durable. */
  afterCommit(remember: () => void): void {
    this.#afterCommit.push(remember)
  }

  committed(): void {
    for (const remember of this.#afterCommit) remember()
  }
}
