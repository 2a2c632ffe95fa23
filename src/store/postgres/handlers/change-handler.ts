/** Changes handlers, one after the other over all nodes. A change is done once the rows are in their lanes. */
import { CallmeError } from '../../../domain/errors.ts'
import { servesTasksWithoutCallback } from '../../../domain/task/handler.ts'
import type { Handler } from '../../../domain/task/handler.ts'
import { toHandler } from '../../rows/handler-row.ts'
import type { HandlerRow } from '../../rows/handler-row.ts'
import { handlerLane } from '../../rows/lane-name.ts'
import type { HandlerStore } from '../../store.ts'
import type { Queries } from '../commit/database.ts'
import { oneByOne } from '../commit/group-writer.ts'
import type { GroupWriter, Verb } from '../commit/group-writer.ts'
import type { Transaction } from '../commit/transaction.ts'
import { backfillPage, beginBackfill, isBackfilled, moveRunning, storedRange } from './backfill.ts'

const TAKE_TURN = `SELECT 1 FROM callme.turns WHERE name = 'handlers' FOR UPDATE`
const FIND = 'SELECT * FROM callme.handlers WHERE name = $1'
const UPSERT = `
  INSERT INTO callme.handlers (name, created, updated, definition) VALUES ($1, $2, $3, $4)
  ON CONFLICT (name) DO UPDATE SET updated = excluded.updated, definition = excluded.definition`
const DELETE = 'DELETE FROM callme.handlers WHERE name = $1'
const FORGET_STARTS = 'DELETE FROM callme.starts WHERE name = $1'
const IN_LANE = 'SELECT 1 FROM callme.tasks WHERE lane = $1 AND name >= $2 AND name < $3 LIMIT 1'

/** The changes of handlers that this node was asked for. */
export class HandlerChanges {
  readonly #requests: GroupWriter
  readonly #chores: GroupWriter
  readonly #closing: AbortSignal
  /** the last change, until the rows are in their lanes */
  #changing: Promise<unknown> | undefined
  /** the last change, until it is stored */
  #storing: Promise<unknown> = Promise.resolve()

  constructor(requests: GroupWriter, chores: GroupWriter, closing: AbortSignal) {
    this.#requests = requests
    this.#chores = chores
    this.#closing = closing
  }

  /** Resolves once the rows are in their lanes. Later writes of this node see the change as soon as it is stored. */
  async change<I, O>(verb: Verb<I, O | 'backfill_first'>, input: I): Promise<O> {
    while (this.#changing) await this.#changing.catch(() => undefined)
    // It begins at once, so that a close waits for it.
    const changing = this.#changeAndBackfill(verb, input).finally(() => (this.#changing = undefined))
    this.#changing = changing
    return changing
  }

  /** Resolves once every earlier change is stored, or refused. */
  async stored(): Promise<void> {
    await this.#storing.catch(() => undefined)
  }

  /** Moves waiting rows to their lanes. The work that a closing store leaves goes on at another time. */
  async backfill(): Promise<void> {
    while (!this.#closing.aborted && (await this.#chores.write(backfillPage, undefined)));
  }

  async #changeAndBackfill<I, O>(verb: Verb<I, O | 'backfill_first'>, input: I): Promise<O> {
    for (;;) {
      const storing = this.#requests.write(verb, input)
      this.#storing = storing
      const result = await storing
      await this.backfill()
      if (result !== 'backfill_first') return result
      if (this.#closing.aborted) throw new CallmeError('store_unavailable', 'the store is being closed')
    }
  }
}

/** A change in a transaction of its own: after the changes of other nodes, and once all rows are in their lanes, as `isNeeded` expects. */
function handlerChange<I extends { readonly name: string }, O>(
  work: (transaction: Transaction, input: I, before: Handler | undefined) => Promise<O>,
): Verb<I, O | 'backfill_first'> {
  const inTurn = async (transaction: Transaction, input: I): Promise<O | 'backfill_first'> => {
    await transaction.query(TAKE_TURN)
    await transaction.session.peers.catchUp()
    if (!(await isBackfilled(transaction))) return 'backfill_first'
    return work(transaction, input, await findHandler(transaction, input.name, 'FOR UPDATE'))
  }
  return oneByOne(inTurn, { isAlone: true })
}

type NewHandler = Pick<Handler, 'name' | 'definition'> & Parameters<HandlerStore['putHandler']>[2]

export const putHandler = handlerChange(
  async (transaction, { name, definition, now, force }: NewHandler, before): ReturnType<HandlerStore['putHandler']> => {
    // The lock of a handler that a new one hides: meanwhile no task that needs it is stored.
    const behind = transaction.session.handlers.behind(name)
    const serving = before ?? (behind && (await findHandler(transaction, behind.name, 'FOR UPDATE')))
    if (!force && !servesTasksWithoutCallback(definition) && (await isNeeded(transaction, serving, name))) return 'needed'
    const handler = { name, definition, created: before?.created ?? now, updated: now }
    await transaction.query(UPSERT, [name, handler.created, now, JSON.stringify(definition)])
    noteChange(transaction, name, handler)
    if (before === undefined) await moveRunning(transaction, name, handler)
    if (before === undefined || before.definition.max_delay !== definition.max_delay) await beginBackfill(transaction, name)
    return { status: before ? 'replaced' : 'created', handler }
  },
)

export const removeHandler = handlerChange(
  async (transaction, { name, force }: { name: string; force: boolean }, before): ReturnType<HandlerStore['removeHandler']> => {
    if (before === undefined) return 'unknown'
    const next = transaction.session.handlers.behind(name)
    if (!force && !servesTasksWithoutCallback(next?.definition) && (await isNeeded(transaction, before, name))) return 'needed'
    await transaction.query(DELETE, [name])
    await transaction.query(FORGET_STARTS, [name])
    noteChange(transaction, name, undefined)
    await moveRunning(transaction, name, undefined)
    await beginBackfill(transaction, name)
    return 'removed'
  },
)

/** The stored handler of this very name. @param lock `FOR UPDATE` locks it until the transaction ends */
export async function findHandler(queries: Queries, name: string, lock: 'FOR UPDATE' | '' = ''): Promise<Handler | undefined> {
  const [row] = await queries.query<HandlerRow>(`${FIND} ${lock}`, [name])
  return row && toHandler(row)
}

/** Whether a waiting or running task of the names has no callback but the handler's. */
async function isNeeded(transaction: Transaction, handler: Handler | undefined, pattern: string): Promise<boolean> {
  if (handler === undefined || !servesTasksWithoutCallback(handler.definition)) return false
  const { first, end } = storedRange(pattern)
  return (await transaction.query(IN_LANE, [handlerLane(handler.name, ''), first, end])).length > 0
}

/** The limits of the handler, and of the one behind it, are counted anew. */
function noteChange({ notes, session }: Transaction, name: string, handler: Handler | undefined): void {
  notes.handlers.set(name, handler)
  for (const freed of [name, session.handlers.behind(name)?.name]) if (freed !== undefined) notes.capacityFreed(freed)
}
