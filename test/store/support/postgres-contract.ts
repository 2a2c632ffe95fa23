/** The store contract on PostgreSQL. It takes long, so that two files have a half each, and run side by side. */
import { afterAll, inject, vi } from 'vitest'
import { openPostgresStore } from '../../../src/store/postgres/open-postgres-store.ts'
import type { Store } from '../../../src/store/store.ts'
import { createDatabase } from '../../support/postgres.ts'
import type { TestDatabase } from '../../support/postgres.ts'
import { storeContract } from '../contract.ts'
import type { OpenStore } from '../contract/support/area.ts'

/** Takes less time than making the tables anew. */
const EMPTY = `
  DELETE FROM callme.tasks; DELETE FROM callme.finished; DELETE FROM callme.attempts; DELETE FROM callme.handlers;
  DELETE FROM callme.handler_walks; DELETE FROM callme.starts; DELETE FROM callme.streams; DELETE FROM callme.commits;
  DELETE FROM callme.changes; DELETE FROM callme.numbered WHERE position > 0;
  DELETE FROM callme.past_runs`

/** Databases that hold nothing. */
const empty: TestDatabase[] = []

async function open(isHostile: boolean): Promise<OpenStore> {
  const database = empty.pop() ?? (await createDatabase(undefined, isHostile))
  const opened: OpenStore & { store: Store } = {
    where: { kind: 'postgres', url: database.url },
    store: await openPostgresStore(database.url),
    async reopen(options) {
      await opened.store.close()
      opened.store = await openPostgresStore(database.url, options)
      return opened.store
    },
    async dispose() {
      await opened.store.close()
      await database.query(EMPTY)
      empty.push(database)
    },
  }
  return opened
}

const skip = [
  {
    reason:
      'They claim while a PUT before them has not been answered. Here requests and the scheduler write through connections of their own, so either may be first; the next claim has what this one has not.',
    tests: [
      'are those of the new handler for a claim of the same moment, whatever waited where',
      'are found by a claim of the same moment that has looked for the new handler already',
    ],
  },
]

/** @param isHostile whether the defaults of the database are others than those of a fresh server */
export function postgresContract(half: 1 | 2, { isHostile = false } = {}): void {
  // Its properties make thousands of transactions, each of which crosses a socket a few times.
  vi.setConfig({ testTimeout: inject('isNightly') ? 1_800_000 : 180_000 })
  afterAll(async () => {
    await Promise.all(empty.map((database) => database[Symbol.asyncDispose]()))
  })
  storeContract({ name: 'PostgreSQL', open: () => open(isHostile), skip, half })
}
