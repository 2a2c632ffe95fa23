/** Changes of handlers, one after the other. Each is over once its backfill has put all waiting rows of its names into their lanes. */
import { setImmediate } from 'node:timers/promises'
import { CallmeError } from '../../../domain/errors.ts'
import { isErrorCallback } from '../../../domain/task/error-callback.ts'
import { rangeOfNames } from '../../../domain/task/name-pattern.ts'
import { parseLane } from '../../rows/lane-name.ts'
import { toTask } from '../../rows/task-row.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import { storeError } from '../commit/store-error.ts'
import type { Session } from '../session.ts'

/** Small, because a pattern may have millions of rows, and other work must get its turn. */
const PAGE_ROWS = 100

const ANY = 'SELECT * FROM handler_walks LIMIT 1'
const ADVANCE = 'UPDATE handler_walks SET after_name = ?, after_trigger_at = ? WHERE name = ?'
const END = 'DELETE FROM handler_walks WHERE name = ?'
const ROWS_OF_NAMES = `
  SELECT * FROM tasks WHERE (name, trigger_at) > (@name, @triggerAt) AND name < @end ORDER BY name, trigger_at LIMIT @limit`
const RELOCATE = 'UPDATE tasks SET lane = @lane, deadline = @deadline WHERE id = @id'

interface BackfillRow {
  readonly name: string
  readonly after_name: string
  readonly after_trigger_at: number
}

export class HandlerChanges {
  readonly #session: Session
  #underWay: Promise<unknown> | undefined
  #isClosing = false

  constructor(session: Session) {
    this.#session = session
    // A crash may have cut off a backfill. Where it fails now, the next change of a handler meets the same error.
    if (this.#isBackfillLeft()) void this.make(() => undefined).catch(() => undefined)
  }

  /**
   * Resolves once the change and its backfill are durable.
   * @param change is judged after the backfill before it: only then the rows show which handler they need
   */
  async make<T>(change: (session: Session) => T): Promise<T> {
    while (this.#underWay) await this.#underWay.catch(() => undefined)
    const changing = this.#changeAndBackfill(change).finally(() => {
      this.#underWay = undefined
    })
    this.#underWay = changing
    return changing
  }

  /** Refuses further changes. The rest of the backfill under way follows after the next start. */
  close(): void {
    this.#isClosing = true
  }

  async #changeAndBackfill<T>(change: (session: Session) => T): Promise<T> {
    if (!this.#isClosing && this.#isBackfillLeft()) await this.#backfill()
    if (this.#isClosing) throw new CallmeError('store_unavailable', 'the store is being closed')
    const result = await this.#session.group.write(() => change(this.#session))
    await this.#backfill()
    return result
  }

  #isBackfillLeft(): boolean {
    try {
      return this.#session.sql.get(ANY) !== undefined
    } catch (error) {
      throw storeError(error)
    }
  }

  async #backfill(): Promise<void> {
    while (!this.#isClosing && (await this.#session.group.write(() => backfillPage(this.#session)))) await setImmediate()
  }
}

/**
 * Corrects the lanes and deadlines by which claims and expiries find a page of waiting rows. They look at the handler themselves. Must run
 * inside a write transaction.
 * @returns whether more may follow
 */
function backfillPage({ sql, cursors, handlers }: Session): boolean {
  const backfill = sql.get<BackfillRow>(ANY)
  if (backfill === undefined) return false
  const { name, after_name: afterName, after_trigger_at: triggerAt } = backfill
  const rows = sql.all<TaskRow>(ROWS_OF_NAMES, { name: afterName, triggerAt, end: rangeOfNames(name).end, limit: PAGE_ROWS })
  for (const row of rows) {
    if ((row.state !== 'pending' && row.state !== 'retrying') || isErrorCallback(row)) continue
    const { deadline } = toTask(row, handlers.of(row.name)?.definition)
    const lane = handlers.laneOf(row.name, parseLane(row.lane).host)
    if (lane === row.lane && deadline === row.deadline) continue
    sql.run(RELOCATE, { id: row.id, lane, deadline })
    cursors.lower(lane, row.due_at)
  }
  const last = rows.at(-1)
  if (last && rows.length === PAGE_ROWS) sql.run(ADVANCE, last.name, last.trigger_at, name)
  else sql.run(END, name)
  return true
}
