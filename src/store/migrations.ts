/** Which migrations there are, and which of them a database still needs. */
import { readdirSync, readFileSync } from 'node:fs'
import { CallmeError } from '../domain/errors.ts'

export interface Migration {
  /** 1, 2, 3 … without a gap */
  readonly version: number
  readonly name: string
  readonly sql: string
  /** programs that know this version or a later one can work with what the migration makes */
  readonly worksWith: number
}

/** For a store that is only read. @param store for the sentence @throws CallmeError where a callme that knows other versions than these wrote it last */
export function mustKnowVersion(store: string, all: readonly Migration[], current: number, worksWith = current): void {
  const [next] = pendingMigrations(store, all, current, worksWith)
  if (next === undefined) return
  if (current === 0) throw new CallmeError('store_unavailable', `${store} is empty: no callme has ever stored anything there`)
  const message = `${store} has schema version ${current}, this callme needs version ${next.version}: start this callme on it once, which brings it up to date`
  throw new CallmeError('store_unavailable', message)
}

/** A step that only adds something says so in this line. An older program goes on beside a newer one then. */
const ADDITIVE = /^-- Programs that know version (\d+) can work with this\./m

/** Reads the numbered `.sql` files of one backend, in order. */
export function readMigrations(backend: 'sqlite' | 'postgres'): Migration[] {
  const folder = new URL(`../../schema/sql/${backend}/`, import.meta.url)
  return readdirSync(folder)
    .sort()
    .map((name) => toMigration(name, readFileSync(new URL(name, folder), 'utf8')))
}

export function toMigration(name: string, sql: string): Migration {
  const version = Number(name.slice(0, 4))
  return { version, name, sql, worksWith: Number(ADDITIVE.exec(sql)?.[1] ?? version) }
}

/**
 * @param store for the sentence, such as "the store callme.db"
 * @param current the version that the database has; 0 when it is new
 * @param worksWith the oldest version that a program must know to work with it
 * @throws CallmeError `store_too_new` when a newer callme has changed the database in a way that this one cannot work with
 */
export function pendingMigrations(store: string, all: readonly Migration[], current: number, worksWith = current): Migration[] {
  const newest = all.at(-1)?.version ?? 0
  if (current > newest && worksWith > newest) {
    const message = `${store} has schema version ${current}, this callme knows versions up to ${newest}: start the newer callme that last used it`
    throw new CallmeError('store_too_new', message)
  }
  return all.filter((migration) => migration.version > current)
}
