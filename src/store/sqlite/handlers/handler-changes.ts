/** Changes of handlers, one after the other: each is over once the rows that it concerns are where they belong. */
import { setImmediate } from 'node:timers/promises'
import { CallmeError } from '../../../domain/errors.ts'
import type { GroupCommit } from '../commit/group-commit.ts'
import type { Session } from '../session.ts'
import { backfillRows } from './backfill.ts'
import { storeError } from '../commit/store-error.ts'

export class HandlerChanges {
  readonly #session: Session
  readonly #group: GroupCommit
  #underWay: Promise<unknown> | undefined
  #isClosing = false

  constructor(session: Session, group: GroupCommit) {
    this.#session = session
    this.#group = group
    // A crash may have cut one off. What stands in its way now is told to whoever changes a handler next.
    if (this.#isBackfillLeft()) void this.make(() => undefined).catch(() => undefined)
  }

  /** One after the other: whether a handler is needed shows where the change before has put the rows. */
  async make<T>(change: () => T): Promise<T> {
    while (this.#underWay) await this.#underWay.catch(() => undefined)
    const changing = this.#changeAndBackfill(change).finally(() => {
      this.#underWay = undefined
    })
    this.#underWay = changing
    return changing
  }

  /** No other is made; what is left of the one under way goes on after the next start. */
  close(): void {
    this.#isClosing = true
  }

  async #changeAndBackfill<T>(change: () => T): Promise<T> {
    if (!this.#isClosing && this.#isBackfillLeft()) await this.#backfill()
    if (this.#isClosing) throw new CallmeError('store_unavailable', 'the store is being closed')
    const result = await this.#group.write(change)
    await this.#backfill()
    return result
  }

  #isBackfillLeft(): boolean {
    try {
      return this.#session.statements.anyBackfill.get() !== undefined
    } catch (error) {
      throw storeError(error)
    }
  }

  /** Goes through the rows of handlers that have changed, a stretch at a time. */
  async #backfill(): Promise<void> {
    while (!this.#isClosing && (await this.#group.write(() => backfillRows(this.#session)))) await setImmediate()
  }
}
