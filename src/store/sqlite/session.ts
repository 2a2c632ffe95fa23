/** What every operation on one open database works with. */
import type { Database } from 'better-sqlite3'
import { ChangeLog } from './history/change-log.ts'
import { Handlers } from './handlers/handlers.ts'
import { LaneCursors } from './memory/lane-cursors.ts'
import { RowIds } from './memory/row-ids.ts'
import { Pages } from './rows/pages.ts'
import { prepareStatements } from './statements.ts'
import type { Statements } from './statements.ts'

export interface Session {
  readonly statements: Statements
  readonly pages: Pages
  readonly cursors: LaneCursors
  readonly rowIds: RowIds
  readonly handlers: Handlers
  readonly changeLog: ChangeLog
}

export function openSession(db: Database): Session {
  const statements = prepareStatements(db)
  const changeLog = new ChangeLog(statements)
  return {
    statements,
    pages: new Pages(db),
    cursors: new LaneCursors(statements),
    rowIds: new RowIds(statements),
    handlers: new Handlers(statements, changeLog),
    changeLog,
  }
}
