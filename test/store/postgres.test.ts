import { afterAll } from 'vitest'
import { openPostgresStore } from '../../src/store/postgres/open-postgres-store.ts'
import { createDatabase } from '../support/postgres.ts'
import type { TestDatabase } from '../support/postgres.ts'
import { storeContract } from './contract.ts'
import type { OpenStore } from './contract/define-test.ts'

/** Databases that hold nothing. Making its tables anew takes less time than making a database. */
const empty: TestDatabase[] = []

afterAll(async () => {
  await Promise.all(empty.map((database) => database[Symbol.asyncDispose]()))
})

async function open(): Promise<OpenStore> {
  const database = empty.pop() ?? (await createDatabase())
  const opened = {
    store: await openPostgresStore(database.url),
    async reopen() {
      await opened.store.close()
      opened.store = await openPostgresStore(database.url)
      return opened.store
    },
    async dispose() {
      await opened.store.close()
      await database.query('DROP SCHEMA callme CASCADE')
      empty.push(database)
    },
  }
  return opened
}

storeContract({ name: 'PostgreSQL', open })
