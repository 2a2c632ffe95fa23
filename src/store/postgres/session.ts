/** The connections and the memory of one open store, which every operation works with. */
import type { OnFailure } from '../../domain/task/error-callback.ts'
import { HandlerBook } from '../rules/handler-book.ts'
import type { Connections, Database } from './commit/database.ts'
import { LaneCursors, LowWaterMark } from './memory/lane-cursors.ts'
import { PeerSync } from './memory/peer-sync.ts'

export interface Session {
  /** for reads */
  readonly database: Database
  readonly handlers: HandlerBook
  readonly cursors: LaneCursors
  readonly peers: PeerSync
  /** of waiting rows */
  readonly deadlines: LowWaterMark
  /** of running rows */
  readonly leases: LowWaterMark
  /** whom this node tells of bad ends */
  readonly onFailure: OnFailure | undefined
}

/** @param streams those that this node writes */
export function openSession({ reading, listening }: Connections, streams: readonly number[], onFailure: OnFailure | undefined): Session {
  const memory = { handlers: new HandlerBook(), cursors: new LaneCursors(), deadlines: new LowWaterMark(), leases: new LowWaterMark() }
  return { database: reading, ...memory, onFailure, peers: new PeerSync(listening, streams, memory) }
}
