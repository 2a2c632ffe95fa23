/** What every operation of one open store works with. */
import type { Database } from './commit/database.ts'
import type { HandlerBook } from '../rules/handler-book.ts'
import type { LaneFronts } from './memory/lane-cursors.ts'
import type { News } from './memory/peer-sync.ts'
import type { Horizon } from './memory/low-water-mark.ts'

export interface Session {
  readonly database: Database
  readonly handlers: HandlerBook
  readonly fronts: LaneFronts
  readonly news: News
  /** up to where deadlines were looked at */
  readonly deadlines: Horizon
  /** up to where leases were looked at */
  readonly leases: Horizon
}
