/** Changes of handlers, one after the other. A change is over once its backfill has put the waiting rows of its names into their lanes. */
import { setImmediate } from 'node:timers/promises'
import { CallmeError } from '../../../domain/errors.ts'
import { isErrorCallback } from '../../../domain/task/error-callback.ts'
import { rangeOfNames } from '../../../domain/task/name-pattern.ts'
import { parseLane } from '../../rows/lane-name.ts'
import { toTask, type TaskRow } from '../../rows/task-row.ts'
import type { GroupCommit } from '../commit/group-commit.ts'
import type { Sql } from '../commit/sql.ts'
import { storeError } from '../commit/store-error.ts'
import type { Transaction } from '../session.ts'

/** A pattern may have millions of rows, so pages are small and other work gets its turn. */
const PAGE_ROWS = 100
const ANY = 'SELECT * FROM handler_walks LIMIT 1'
const ADVANCE = 'UPDATE handler_walks SET after_name = ?, after_trigger_at = ? WHERE name = ?'
const END = 'DELETE FROM handler_walks WHERE name = ?'
const ROWS_OF_NAMES = `
  SELECT * FROM tasks WHERE (name, trigger_at) > (@name, @triggerAt) AND name < @end ORDER BY name, trigger_at LIMIT @limit`
const RELOCATE = 'UPDATE tasks SET lane = @lane, deadline = @deadline WHERE id = @id'

export class HandlerChanges {
  readonly #sql: Sql
  readonly #group: GroupCommit<Transaction>
  #underWay: Promise<unknown> | undefined
  #isClosing = false

  constructor(sql: Sql, group: GroupCommit<Transaction>) {
    this.#sql = sql
    this.#group = group
    // A crash may have cut off a backfill. Where it fails now, the next change of a handler meets the same error.
    if (this.#isBackfillLeft()) void this.make(() => undefined).catch(() => undefined)
  }

  /** Resolves once the change and its backfill are durable. */
  async make<T>(change: (transaction: Transaction) => T): Promise<T> {
    while (this.#underWay) await this.#underWay.catch(() => undefined)
    const changing = this.#changeAndBackfill(change).finally(() => (this.#underWay = undefined))
    this.#underWay = changing
    return changing
  }

  /** Refuses further changes. The next start takes up the rest of the backfill under way. */
  close(): void {
    this.#isClosing = true
  }

  async #changeAndBackfill<T>(change: (transaction: Transaction) => T): Promise<T> {
    // The lanes of tasks show which handler they need, so the backfill before must be over.
    if (this.#isBackfillLeft()) await this.#backfill()
    if (this.#isClosing) throw new CallmeError('store_unavailable', 'the store is being closed')
    const result = await this.#group.write(change)
    await this.#backfill()
    return result
  }

  async #backfill(): Promise<void> {
    while (!this.#isClosing && this.#isBackfillLeft()) {
      await this.#group.write(backfillPage)
      await setImmediate()
    }
  }

  #isBackfillLeft(): boolean {
    try {
      return this.#sql.get(ANY) !== undefined
    } catch (error) {
      throw storeError(error, this.#sql.path)
    }
  }
}

/** Corrects the lanes and deadlines of one page of waiting rows. Until then a claim or an expiry looks at the handler itself. */
function backfillPage({ sql, cursors, handlers }: Transaction): void {
  const {
    name,
    after_name: afterName,
    after_trigger_at: triggerAt,
  } = sql.one<{ name: string; after_name: string; after_trigger_at: number }>(ANY)
  const page = { name: afterName, triggerAt, end: rangeOfNames(name).end, limit: PAGE_ROWS }
  const { rows, isCut } = sql.bounded<TaskRow>(ROWS_OF_NAMES, page, ({ definition }) => definition.length)
  for (const row of rows) {
    if ((row.state !== 'pending' && row.state !== 'retrying') || isErrorCallback(row)) continue
    const { deadline } = toTask(row, handlers.of(row.name))
    const lane = handlers.laneOf(row.name, parseLane(row.lane).host)
    if (lane === row.lane && deadline === row.deadline) continue
    sql.run(RELOCATE, { id: row.id, lane, deadline })
    cursors.lower(lane, row.due_at)
  }
  const last = rows.at(-1)
  if (last && (isCut || rows.length === PAGE_ROWS)) sql.run(ADVANCE, last.name, last.trigger_at, name)
  else sql.run(END, name)
}
