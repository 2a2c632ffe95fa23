/** Which migrations there are, and which of them a database still needs. */
import { readdirSync, readFileSync } from 'node:fs'
import { CallmeError } from '../domain/errors.ts'

export interface Migration {
  /** 1, 2, 3 … without a gap */
  readonly version: number
  readonly name: string
  readonly sql: string
}

/** Reads the numbered `.sql` files of one backend, in order. */
export function readMigrations(backend: 'sqlite'): Migration[] {
  const folder = new URL(`../../schema/sql/${backend}/`, import.meta.url)
  return readdirSync(folder)
    .sort()
    .map((name) => ({ version: Number(name.slice(0, 4)), name, sql: readFileSync(new URL(name, folder), 'utf8') }))
}

/**
 * @param current the version that the database has; 0 when it is new
 * @throws CallmeError `store_too_new` when a newer callme has already changed the database
 */
export function pendingMigrations(all: readonly Migration[], current: number): Migration[] {
  const newest = all.at(-1)?.version ?? 0
  if (current > newest) {
    const message = `the store has schema version ${current}, this callme knows versions up to ${newest}: start the newer callme that last used it`
    throw new CallmeError('store_too_new', message)
  }
  return all.filter((migration) => migration.version > current)
}
