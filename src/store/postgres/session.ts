/** What every operation of one open store works with. */
import type { Database } from './commit/database.ts'
import type { HandlerBook } from '../rules/handler-book.ts'
import type { LaneCursors } from './memory/lane-cursors.ts'
import type { PeerSync } from './memory/peer-sync.ts'
import type { LowWaterMark } from './memory/low-water-mark.ts'

export interface Session {
  readonly database: Database
  readonly handlers: HandlerBook
  readonly cursors: LaneCursors
  readonly peers: PeerSync
  /** up to where deadlines were looked at */
  readonly deadlines: LowWaterMark
  /** up to where leases were looked at */
  readonly leases: LowWaterMark
}
