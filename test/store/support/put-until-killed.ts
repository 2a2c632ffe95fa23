/** A process that stores groups of 200 tasks at once, and prints each key as soon as its task is acknowledged, until it is killed. */
import { writeSync } from 'node:fs'
import { openSqliteStore } from '../../../src/store/sqlite/open-sqlite-store.ts'
import { aTask } from '../../support/a-task.ts'

const [, , path = '', round = ''] = process.argv
const store = openSqliteStore(path)
for (let group = 0; ; group += 1) {
  const names = Array.from({ length: 200 }, (_, n) => `round-${round}-${group}-${n}`)
  await Promise.all(
    names.map(async (name) => {
      const [result] = await store.put([aTask({ name })], { now: Date.now() })
      if (result?.status === 'created') writeSync(1, `${name}\n`)
    }),
  )
}
