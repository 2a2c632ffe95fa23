/** Gives free pages of the file back to the disk, in small steps that other writes take turns with. */
import type { Database } from 'better-sqlite3'

/** One step moves this many pages of 4 KiB, which takes some milliseconds. */
export const SHRINK_PAGES = 128
/** More pages wait for the next chores. */
export const SHRINK_STEPS = 50
/** So much stays free for the tasks to come: 1 MiB, and a tenth of the file. */
const RESERVE_PAGES = 256
const RESERVE_PART = 1 / 10

const INCREMENTAL = 2

/** A file that an older callme has made keeps its size. */
export function canShrink(db: Database): boolean {
  const value = (name: string): number => db.pragma(name, { simple: true }) as number
  if (value('auto_vacuum') !== INCREMENTAL) return false
  return value('freelist_count') - SHRINK_PAGES > Math.max(RESERVE_PAGES, value('page_count') * RESERVE_PART)
}

/** Inside a transaction. The file itself is shorter after the next checkpoint. */
export function shrink(db: Database): void {
  db.exec(`PRAGMA incremental_vacuum(${SHRINK_PAGES})`)
}
