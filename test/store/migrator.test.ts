import { expect, test } from 'vitest'
import { pendingMigrations, readMigrations, toMigration } from '../../src/store/migrations.ts'

const ALL = [1, 2, 3].map((version) => toMigration(`000${version}-step.sql`, `step ${version}`))
const BACKENDS = ['sqlite', 'postgres'] as const

test.each(BACKENDS)('the migrations of %s are numbered from 1 on without a gap, in order', (backend) => {
  const migrations = readMigrations(backend)
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
  expect(pendingMigrations('the store', ALL, current).map(({ version }) => version)).toEqual(versions)
})

test('a database of a newer version is refused', () => {
  expect(() => pendingMigrations('the store', ALL, 4)).toThrow(expect.objectContaining({ code: 'store_too_new' }))
})

test('both backends have the same migrations', () => {
  const [sqlite, postgres] = BACKENDS.map((backend) => readMigrations(backend).map(({ name }) => name))
  expect(postgres).toEqual(sqlite)
})

test('a database of a newer version is let in where what is new only adds something', () => {
  expect(pendingMigrations('the store', ALL, 5, 3)).toEqual([])
  expect(() => pendingMigrations('the store', ALL, 5, 4)).toThrow(expect.objectContaining({ code: 'store_too_new' }))
})

test('a step says itself which programs can work with what it makes', () => {
  expect(toMigration('0007-more.sql', '-- More.\n-- Programs that know version 5 can work with this.\nSELECT 1').worksWith).toBe(5)
  expect(toMigration('0007-more.sql', 'SELECT 1').worksWith).toBe(7)
})
