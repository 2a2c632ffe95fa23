/**
 * Group commit: what arrives while a transaction is under way shares the next one, and calls of one verb that stand together share its
 * statements. Each is answered after the commit. Where a group is refused, its members are written one by one, so that the others are
 * stored all the same. Where the database breaks off, the group is written again; whether a commit that nobody answered was done shows by
 * the number that it has in its stream, before anything is written a second time.
 */
import { setTimeout } from 'node:timers/promises'
import { insertCommit, insertEmptyCommit, isTaken, lastSeq } from './commit-log.ts'
import type { Database } from './database.ts'
import { isConflict, isUnavailable, storeError } from './store-error.ts'
import { Transaction } from './transaction.ts'

/** Writes for many callers at once; answers in their order. May be run again after it was undone. */
export interface Verb<I, O> {
  (transaction: Transaction, inputs: readonly I[]): Promise<O[]>
  /** whether it is written by itself: what comes after it sees what it has committed, and shares none of its locks */
  readonly isAlone?: true
  /** how many rows an input is about; one where that is not said */
  readonly weigh?: (input: I) => number
}

interface Member {
  readonly verb: Verb<never, unknown>
  readonly input: unknown
  readonly weight: number
  /** when it came, in monotonic ms */
  readonly since: number
  readonly patienceMs: () => number
  readonly resolve: (value: never) => void
  readonly reject: (reason: unknown) => void
}

/** What a transaction has come to whose commit was not answered. */
interface Doubt {
  readonly answers: ReadonlyMap<Member, unknown>
  readonly transaction: Transaction
  readonly rows: number
}

const MOST_MEMBERS = 256
/** A transaction of more rows than this is that of one member. */
const MOST_ROWS = 2000
const TRY_AGAIN_MS = 100
/** A conflict with other nodes ends sooner or later; this many in a row are a defect. */
const MOST_CONFLICTS = 20

interface WriterOptions {
  readonly database: Database
  /** the number of its stream */
  readonly stream: number
  /** how long a write waits for the database, ms */
  readonly patienceMs: () => number
  /** is told of each commit that says something to others */
  readonly onCommit: (transaction: Transaction) => void
}

export class GroupWriter {
  readonly #options: WriterOptions
  #members: Member[] = []
  #writing: Promise<void> | undefined
  /** of the last row of the stream */
  #seq = 0

  constructor(options: WriterOptions) {
    this.#options = options
  }

  /**
   * Resolves with the verb's answer once that is durable; rejects, with nothing changed as far as anybody knows, when it is not.
   * @param patienceMs how long it waits for the database; like all that are written here where that is not said
   */
  write<I, O>(verb: Verb<I, O>, input: I, patienceMs = this.#options.patienceMs): Promise<O> {
    return new Promise<O>((resolve, reject) => {
      this.#members.push({ verb, input, weight: verb.weigh?.(input) ?? 1, since: performance.now(), patienceMs, resolve, reject })
      this.#writing ??= this.#writeAll()
    })
  }

  /** Resolves when no write waits. */
  async drained(): Promise<void> {
    await this.#writing
  }

  async #writeAll(): Promise<void> {
    // Those of one turn of the event loop go together.
    await new Promise((resolve) => setImmediate(resolve))
    try {
      while (this.#members.length > 0) await this.#writeGroup(this.#nextGroup())
    } finally {
      this.#writing = undefined
    }
  }

  #nextGroup(): Member[] {
    let rows = 0
    const end = this.#members.findIndex(({ verb, weight }, index) => {
      rows += weight
      const isAlone = verb.isAlone ?? this.#members[index - 1]?.verb.isAlone ?? false
      return index > 0 && (isAlone || index >= MOST_MEMBERS || rows > MOST_ROWS)
    })
    return this.#members.splice(0, end === -1 ? this.#members.length : end)
  }

  async #writeGroup(group: readonly Member[]): Promise<void> {
    let members = group
    let doubt: Doubt | undefined
    for (let conflicts = 0; members.length > 0;) {
      const failure = await this.#attempt(members, doubt)
      if (failure === undefined) return
      const { error } = failure
      doubt = failure.doubt ?? doubt
      if (isTaken(error)) {
        if (doubt !== undefined) {
          this.#conclude(doubt, members)
          return
        }
        this.#seq = await this.#lastSeq()
      } else if (isConflict(error) && conflicts < MOST_CONFLICTS) conflicts += 1
      else if (isUnavailable(error)) members = await this.#patient(members, error)
      else if (members.length > 1) {
        // One by one, so that a member that is refused hurts nobody.
        for (const member of members) await this.#writeGroup([member])
        return
      } else {
        refuse(members, error)
        return
      }
    }
  }

  /**
   * @param before what an attempt has come to that may have been written: this one is refused as taken where it was
   * @returns undefined where the members were answered, else why not, and what they come to should they have been written all the same
   */
  async #attempt(members: readonly Member[], before: Doubt | undefined): Promise<{ error: unknown; doubt: Doubt | undefined } | undefined> {
    const { database, stream } = this.#options
    let doubt: Doubt | undefined
    try {
      await database.transaction(async (queries) => {
        const transaction = new Transaction(queries)
        // First, because what was done already may leave nothing to do, and so nothing to tell by.
        const empty = before?.rows ? await insertEmptyCommit(queries, { stream, seq: this.#seq + 1 }) : 0
        const answers = await runVerbs(transaction, members)
        const rows = empty + (await insertCommit(transaction, { stream, seq: this.#seq + empty + 1 }))
        doubt = { answers, transaction, rows }
      })
    } catch (error) {
      return { error, doubt }
    }
    if (doubt !== undefined) this.#conclude(doubt, members)
    return undefined
  }

  #conclude({ answers, transaction, rows }: Doubt, members: readonly Member[]): void {
    this.#seq += rows
    transaction.committed()
    if (rows > 0) this.#options.onCommit(transaction)
    for (const member of members) member.resolve(answers.get(member) as never)
  }

  /** Refuses those that have waited long enough, also of those that wait for their turn. @returns the others of the group */
  async #patient(members: readonly Member[], error: unknown): Promise<readonly Member[]> {
    await setTimeout(TRY_AGAIN_MS)
    const now = performance.now()
    const isPatient = ({ since, patienceMs }: Member): boolean => now - since < patienceMs()
    refuse(
      [...members, ...this.#members].filter((member) => !isPatient(member)),
      error,
    )
    this.#members = this.#members.filter(isPatient)
    return members.filter(isPatient)
  }

  async #lastSeq(): Promise<number> {
    return lastSeq(this.#options.database, this.#options.stream).catch(() => this.#seq)
  }
}

async function runVerbs(transaction: Transaction, members: readonly Member[]): Promise<Map<Member, unknown>> {
  const answers = new Map<Member, unknown>()
  for (let start = 0, end = 0; start < members.length; start = end) {
    const verb = members[start]?.verb
    while (end < members.length && members[end]?.verb === verb) end += 1
    const run = members.slice(start, end)
    const outputs = await verb?.(
      transaction,
      run.map(({ input }) => input as never),
    )
    for (const [index, member] of run.entries()) answers.set(member, outputs?.[index])
  }
  return answers
}

function refuse(members: readonly Member[], error: unknown): void {
  const reason = storeError(error)
  for (const member of members) member.reject(reason)
}
