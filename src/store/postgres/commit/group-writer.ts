/**
 * Group commit: calls that arrive during one transaction share the next one, and are answered after its commit. A refused group is written
 * again call by call. A group of a lost connection is written again too: its number in the stream shows whether the lost commit was done.
 */
import { setTimeout } from 'node:timers/promises'
import type { Session } from '../session.ts'
import type { Database } from './database.ts'
import { isConflict, isUnavailable, storeError } from './store-error.ts'
import { Transaction, isTaken, lastSeq, recordCommit, recordEmptyCommit } from './transaction.ts'

/** A write of the store. It may run again after its transaction was undone. */
export interface Verb<I, O> {
  /** Answers in the order of the inputs. */
  readonly write: (transaction: Transaction, inputs: readonly I[]) => Promise<readonly O[]>
  /** whether it has a transaction of its own, so that later calls see its commit and share none of its locks */
  readonly isAlone: boolean
  /** whether its calls are written before those that wait */
  readonly isUrgent: boolean
  /** the number of rows of an input */
  readonly weigh: (input: I) => number
}

/** A verb whose calls are written one after the other. */
export function oneByOne<I, O>(work: (transaction: Transaction, input: I) => Promise<O>, { isAlone = false } = {}): Verb<I, O> {
  const write: Verb<I, O>['write'] = async (transaction, inputs) => {
    const answers: O[] = []
    for (const input of inputs) answers.push(await work(transaction, input))
    return answers
  }
  return { write, isAlone, isUrgent: false, weigh: () => 1 }
}

/** A verb whose neighbouring calls are written by the same statements. */
export function together<I, O>(write: Verb<I, O>['write'], weigh: (input: I) => number = () => 1, { isUrgent = false } = {}): Verb<I, O> {
  return { write, isAlone: false, isUrgent, weigh }
}

/** A call of any verb that waits for its answer. */
interface Member {
  readonly verb: Pick<Verb<never, unknown>, 'isAlone'>
  readonly weight: number
  /** the monotonic time of its arrival, ms */
  readonly since: number
  readonly patienceMs: () => number
  readonly reject: (reason: unknown) => void
  /** Writes the calls of its verb at the head of `members`. @returns how to answer them, in their order */
  readonly writeRun: (transaction: Transaction, members: readonly Member[]) => Promise<(() => void)[]>
}

interface Call<I, O> extends Member {
  readonly verb: Verb<I, O>
  readonly input: I
  readonly resolve: (answer: O) => void
}

/** A transaction that has no answer to its commit yet. */
interface Attempt {
  readonly transaction: Transaction
  readonly answers: readonly (() => void)[]
  /** how many numbers of the stream it takes */
  readonly rows: number
}

const MOST_MEMBERS = 256
/** Only a single call may exceed this many rows in one transaction. */
const MOST_ROWS = 2000
const TRY_AGAIN_MS = 100
/** Conflicts with other nodes end soon; this many in a row are a defect. */
const MOST_CONFLICTS = 20

interface WriterOptions {
  readonly session: Session
  readonly database: Database
  readonly stream: number
  /** how long a call waits for the database, ms */
  readonly patienceMs: () => number
}

export class GroupWriter {
  readonly #options: WriterOptions
  #members: Member[] = []
  #writing: Promise<void> | undefined
  /** the number of the last row of the stream */
  #seq = 0

  constructor(options: WriterOptions) {
    this.#options = options
  }

  /** Resolves with the verb's answer once it is durable. Rejects, with nothing changed as far as anybody knows, if it is not. */
  write<I, O>(verb: Verb<I, O>, input: I, patienceMs = this.#options.patienceMs): Promise<O> {
    return new Promise<O>((resolve, reject) => {
      const call: Call<I, O> = {
        ...{ verb, input, weight: verb.weigh(input), since: performance.now(), patienceMs, resolve, reject },
        writeRun: (transaction, members) => writeRun(verb, transaction, members),
      }
      if (verb.isUrgent) this.#members.unshift(call)
      else this.#members.push(call)
      this.#writing ??= this.#writeAll()
    })
  }

  /** Resolves once all calls are answered. */
  async drained(): Promise<void> {
    await this.#writing
  }

  async #writeAll(): Promise<void> {
    // Calls of one turn of the event loop share a transaction.
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
      const isApart = verb.isAlone || this.#members[index - 1]?.verb.isAlone === true
      return index > 0 && (isApart || index >= MOST_MEMBERS || rows > MOST_ROWS)
    })
    return this.#members.splice(0, end === -1 ? this.#members.length : end)
  }

  async #writeGroup(group: readonly Member[]): Promise<void> {
    let members = group
    let doubt: Attempt | undefined
    for (let conflicts = 0; members.length > 0;) {
      const failure = await this.#attempt(members, doubt)
      if (failure === undefined) return
      const { error } = failure
      doubt = failure.attempt ?? doubt
      if (isTaken(error)) {
        if (doubt !== undefined) {
          this.#conclude(doubt)
          return
        }
        const { database, stream } = this.#options
        this.#seq = await lastSeq(database, stream).catch(() => this.#seq)
      } else if (isConflict(error) && conflicts < MOST_CONFLICTS) conflicts += 1
      else if (isUnavailable(error)) members = await this.#patient(members, error)
      else if (members.length > 1) {
        // One by one, so that only the refused call fails.
        for (const member of members) await this.#writeGroup([member])
        return
      } else {
        refuse(members, error)
        return
      }
    }
  }

  /**
   * @param doubt an earlier attempt that may be done: if it is, this one is refused as taken
   * @returns undefined for a success, else the error, and the attempt if its commit may be done all the same
   */
  async #attempt(members: readonly Member[], doubt: Attempt | undefined): Promise<{ error: unknown; attempt?: Attempt } | undefined> {
    const { session, database, stream } = this.#options
    let attempt: Attempt | undefined
    try {
      await database.transaction(async (queries) => {
        const transaction = new Transaction(session, queries)
        // First, because a done commit may leave this attempt nothing to write, and so no number to take.
        const empty = doubt === undefined || doubt.rows === 0 ? 0 : 1
        if (empty > 0) await recordEmptyCommit(queries, stream, this.#seq + 1)
        const answers = await writeRuns(transaction, members)
        attempt = { transaction, answers, rows: empty + (await recordCommit(transaction, stream, this.#seq + empty + 1)) }
      })
    } catch (error) {
      return attempt === undefined ? { error } : { error, attempt }
    }
    if (attempt !== undefined) this.#conclude(attempt)
    return undefined
  }

  #conclude({ transaction, answers, rows }: Attempt): void {
    this.#seq += rows
    for (const answer of answers) answer()
    if (rows > 0) this.#options.session.peers.committed(transaction)
  }

  /** Refuses all waiting calls whose patience has ended. @returns the others of the group */
  async #patient(members: readonly Member[], error: unknown): Promise<readonly Member[]> {
    await setTimeout(TRY_AGAIN_MS)
    const now = performance.now()
    const isPatient = ({ since, patienceMs }: Member): boolean => now - since < patienceMs()
    const impatient = [...members, ...this.#members].filter((member) => !isPatient(member))
    refuse(impatient, error)
    this.#members = this.#members.filter(isPatient)
    return members.filter(isPatient)
  }
}

async function writeRuns(transaction: Transaction, members: readonly Member[]): Promise<(() => void)[]> {
  const answers: (() => void)[] = []
  for (let [first] = members; first !== undefined; first = members[answers.length]) {
    answers.push(...(await first.writeRun(transaction, members.slice(answers.length))))
  }
  return answers
}

async function writeRun<I, O>(verb: Verb<I, O>, transaction: Transaction, members: readonly Member[]): Promise<(() => void)[]> {
  const end = members.findIndex((member) => !isCallOf(member, verb))
  const run = members.slice(0, end === -1 ? members.length : end).filter((member) => isCallOf(member, verb))
  const answers = (
    await verb.write(
      transaction,
      run.map(({ input }) => input),
    )
  ).values()
  return run.map(({ resolve }) => {
    const answer = answers.next()
    if (answer.done === true) throw new Error('a verb must answer all of its calls')
    return () => {
      resolve(answer.value)
    }
  })
}

function isCallOf<I, O>(member: Member, verb: Verb<I, O>): member is Call<I, O> {
  return member.verb === verb
}

function refuse(members: readonly Member[], error: unknown): void {
  const reason = storeError(error)
  for (const member of members) member.reject(reason)
}
