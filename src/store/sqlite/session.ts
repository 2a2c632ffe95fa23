/** What every operation on one open database works with. */
import type { Database } from 'better-sqlite3'
import { HandlerBook } from '../rules/handler-book.ts'
import { toHandler } from '../rows/handler-row.ts'
import type { HandlerRow } from '../rows/handler-row.ts'
import { GroupCommit } from './commit/group-commit.ts'
import { Sql } from './commit/sql.ts'
import { ChangeLog } from './history/change-log.ts'
import { LaneCursors } from './memory/lane-cursors.ts'
import { RowIds } from './memory/row-ids.ts'
import { Pages } from './rows/pages.ts'

const HANDLERS = 'SELECT * FROM handlers'

export interface Session {
  readonly sql: Sql
  readonly group: GroupCommit
  readonly pages: Pages
  readonly cursors: LaneCursors
  readonly rowIds: RowIds
  /** all handlers, as they are inside the present transaction */
  readonly handlers: HandlerBook
  readonly changeLog: ChangeLog
}

export function openSession(db: Database): Session {
  const sql = new Sql(db)
  const cursors = new LaneCursors(sql)
  const changeLog = new ChangeLog(sql)
  let handlers: HandlerBook | undefined
  const group = new GroupCommit(db, {
    write: (changes) => {
      changeLog.write(changes)
    },
    onCommit: () => {
      cursors.committed()
      changeLog.committed()
    },
    onRollback: () => {
      cursors.forget()
      changeLog.forget()
      handlers = undefined
    },
  })
  return {
    ...{ sql, group, pages: new Pages(sql), cursors, rowIds: new RowIds(sql), changeLog },
    // A rollback may have undone a change of a handler: they are read again at the next use.
    get handlers() {
      return (handlers ??= new HandlerBook(sql.all<HandlerRow>(HANDLERS).map(toHandler)))
    },
  }
}
