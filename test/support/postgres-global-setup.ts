/** One PostgreSQL server for a whole run of the tests: that of CALLME_TEST_POSTGRES_URL, else one that lives as long as the run. */
import type { TestProject } from 'vitest/node'
import { startPostgresServer } from './postgres-server.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** of a user who may create databases */
    postgresUrl: string
  }
}

/** @returns what ends the server */
export async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const given = process.env['CALLME_TEST_POSTGRES_URL']
  if (given !== undefined) {
    project.provide('postgresUrl', given)
    return undefined
  }
  // Nothing here outlives the run, so nothing need be safe from a power failure.
  const server = await startPostgresServer('fsync=off', 'full_page_writes=off', 'max_connections=200')
  project.provide('postgresUrl', server.url)
  return () => server[Symbol.asyncDispose]()
}
