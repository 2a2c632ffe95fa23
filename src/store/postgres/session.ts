/** What every operation of one open store works with. */
import type { Database } from './database.ts'
import type { HandlerBook } from './handler-book.ts'
import type { LaneFronts } from './lane-fronts.ts'
import type { News } from './news.ts'
import type { Horizon } from './horizon.ts'

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
