/** Where a bench keeps its stores: files of a folder for SQLite, databases of a server for PostgreSQL. */
import { copyFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'

export interface StorePlace {
  readonly name: 'SQLite' | 'PostgreSQL' | 'Redis'
  /** Makes room for a store, with all that is in another one that nobody has open, if one is given. @returns what `--store` takes */
  create(copied?: string): Promise<string>
  /** Does at once what the database does in time, so that a store just filled is worked with as one that has been there for a while. */
  settle(store: string): Promise<void>
  /** What the store has come to, a line for each of its parts. */
  describe(store: string): Promise<string[]>
  remove(store: string): Promise<void>
  /** CPU time in ms of the store's own processes, those that have ended included. */
  cpuMs(): number
  /** Resident memory in MB of the store's own processes; what they share counts once. */
  memoryMb(): number
  /** Ends the store's own processes as `kill -9` does, and starts them again; absent where it has none that may be ended. */
  readonly crash?: () => Promise<void>
}

const BYTES_PER_MB = 1e6
const PREFIX = 'sqlite:'

/** SQLite runs within the process that uses it, so it has no CPU time and no memory of its own. */
export function sqlitePlace(folder: string): StorePlace {
  let count = 0
  return {
    name: 'SQLite',
    create: (copied) => {
      const path = join(folder, `${(count += 1)}.db`)
      if (copied !== undefined) copyFileSync(sqlitePath(copied), path)
      return Promise.resolve(PREFIX + path)
    },
    settle: () => Promise.resolve(),
    describe: (store) => {
      const size = (suffix: string): string => (statSync(sqlitePath(store) + suffix).size / BYTES_PER_MB).toFixed(0)
      return Promise.resolve([`file ${size('')} MB, write-ahead log ${size('-wal')} MB`])
    },
    remove: (store) => {
      for (const suffix of ['', '-wal', '-shm', '.lock']) rmSync(sqlitePath(store) + suffix, { force: true })
      return Promise.resolve()
    },
    cpuMs: () => 0,
    memoryMb: () => 0,
  }
}

export function sqlitePath(store: string): string {
  return store.slice(PREFIX.length)
}
