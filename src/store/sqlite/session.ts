/** The parts of one open database that every operation works with. */
import type { Database } from 'better-sqlite3'
import type { OnFailure } from '../../domain/task/error-callback.ts'
import { Changes } from '../rules/changes.ts'
import { HandlerBook } from '../rules/handler-book.ts'
import { toHandler, type HandlerRow } from '../rows/handler-row.ts'
import type { Store } from '../store.ts'
import { GroupCommit } from './commit/group-commit.ts'
import type { Hold } from './commit/hold.ts'
import { Sql } from './commit/sql.ts'
import { ChangeLog } from './history/change-log.ts'
import { LaneCursors } from './memory/lane-cursors.ts'
import { RowIds } from './memory/row-ids.ts'

const HANDLERS = 'SELECT * FROM handlers'

export interface Session {
  readonly sql: Sql
  readonly cursors: LaneCursors
  readonly rowIds: RowIds
  /** all handlers, as the present transaction has them */
  readonly handlers: HandlerBook
  readonly changeLog: ChangeLog
  /** whom this node tells of bad ends */
  readonly onFailure: OnFailure | undefined
}

/** A session that may write rows. All of its writes become durable at once, or none. */
export interface Transaction extends Session {
  readonly changes: Changes
}

/** A verb of the seam, as it runs in a transaction or, for reads, in a session. */
export type Verb<Name extends keyof Store, In = Transaction> = (
  context: In,
  ...args: Parameters<Store[Name]>
) => Awaited<ReturnType<Store[Name]>>

export function openSession(db: Database, hold: Hold, onFailure?: OnFailure): { session: Session; group: GroupCommit<Transaction> } {
  const sql = new Sql(db)
  const cursors = new LaneCursors(sql)
  const changeLog = new ChangeLog(sql)
  let handlers: HandlerBook | undefined
  const session: Session = {
    ...{ sql, cursors, rowIds: new RowIds(sql), changeLog, onFailure },
    get handlers() {
      return (handlers ??= new HandlerBook(sql.all<HandlerRow>(HANDLERS).map(toHandler)))
    },
  }
  const group = new GroupCommit<Transaction>(db, {
    begin: () => {
      hold.mustOwn()
      return { ...session, changes: new Changes() }
    },
    end: ({ changes }) => {
      changeLog.write(changes)
    },
    confirm: () => {
      hold.mustBeThere()
    },
    onCommit: () => {
      cursors.committed()
      changeLog.committed()
    },
    onRollback: (error) => {
      hold.failed(error)
      cursors.forget()
      changeLog.forget()
      // A change of a handler may have been undone, so the next use reads all handlers.
      handlers = undefined
    },
  })
  return { session, group }
}
