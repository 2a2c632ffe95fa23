import { expect, test } from 'vitest'
import { pendingMigrations, readMigrations } from '../../src/store/migrator.ts'

const ALL = [1, 2, 3].map((version) => ({ version, name: `000${version}-step.sql`, sql: `step ${version}` }))

test('the migrations are numbered from 1 on without a gap, in order', () => {
  const migrations = readMigrations('sqlite')
  expect(migrations.map(({ version }) => version)).toEqual(migrations.map((_, index) => index + 1))
  for (const { name, sql } of migrations) {
    expect(name).toMatch(/^\d{4}-[a-z-]+\.sql$/)
    expect(sql).not.toBe('')
  }
})

test.each([
  [0, [1, 2, 3]],
  [1, [2, 3]],
  [2, [3]],
  [3, []],
])('a database of version %d still needs the steps %j', (current, versions) => {
  expect(pendingMigrations(ALL, current).map(({ version }) => version)).toEqual(versions)
})

test('a database of a newer version is refused', () => {
  expect(() => pendingMigrations(ALL, 4)).toThrow(expect.objectContaining({ code: 'store_too_new' }))
})
