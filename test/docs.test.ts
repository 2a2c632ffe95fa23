/** What the README names exists, and what exists is named there: fields, endpoints, parameters, codes, settings, states. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import deleteQuery from '../schema/api/delete-query.json' with { type: 'json' }
import listQuery from '../schema/api/list-query.json' with { type: 'json' }
import rescheduleQuery from '../schema/api/reschedule-query.json' with { type: 'json' }
import taskSchema from '../schema/api/task.json' with { type: 'json' }
import configSchema from '../schema/config.json' with { type: 'json' }
import { TASK_STATES } from '../src/domain/task.ts'
import { TRANSITIONS } from '../src/domain/transitions.ts'

const readme = read('README.md')
const architecture = read('ARCHITECTURE.md')

function read(name: string): string {
  return readFileSync(new URL(`../${name}`, import.meta.url), 'utf8')
}

/** The rows of the first table whose head starts with these cells. */
function table(...head: string[]): string[][] {
  const lines = readme.split('\n')
  const start = lines.findIndex((line) => line.startsWith(`| ${head.join(' | ')} |`))
  expect(start, `a table ${head.join(' | ')}`).toBeGreaterThan(-1)
  const rows = lines.slice(start + 2)
  return rows
    .slice(
      0,
      rows.findIndex((line) => !line.startsWith('|')),
    )
    .map((line) => line.slice(2, -2).split(' | '))
}

function quoted(text: string | undefined): string[] {
  return [...(text ?? '').matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '')
}

test('the table of task fields holds the fields of the schema, with their defaults', () => {
  const rows = table('field', 'type', 'default', 'rule')
  expect(rows.flatMap(([field]) => quoted(field)).sort()).toEqual(Object.keys(taskSchema.properties).sort())
  for (const [name, property] of Object.entries(taskSchema.properties)) {
    if (!('default' in property)) continue
    const row = rows.find(([field]) => field === `\`${name}\``)
    expect(row?.[2], name).toBe(
      `\`${typeof property.default === 'string' && property.default !== '' ? property.default : JSON.stringify(property.default)}\``,
    )
  }
})

test('the table of parameters holds the query parameters of the schemas', () => {
  const known = [listQuery, rescheduleQuery, deleteQuery].flatMap((schema) => Object.keys(schema.properties))
  expect(
    table('parameter', 'of', 'means')
      .flatMap(([name]) => quoted(name))
      .sort(),
  ).toEqual([...new Set(known)].sort())
})

test('the table of endpoints holds the paths and methods of the API', () => {
  const source = read('src/api/create-app.ts')
  const served = [...source.matchAll(/'(\/[^']*)': \{ ([^}]+) \}/g)].flatMap(([, path = '', methods = '']) =>
    [...methods.matchAll(/(get|put|post|delete): /g)].map(([, method = '']) => `${method.toUpperCase()} ${path.replace('/:target', '')}`),
  )
  const named = table('method and path', 'does').flatMap(([cell]) =>
    quoted(cell).map((text) => text.replace(/\/<.*$/, '').replace(/(.)\/$/, '$1')),
  )
  expect(served.length).toBeGreaterThan(10)
  expect([...new Set(named)].map((text) => text.replace(/^GET ?$/, 'GET /')).sort()).toEqual([...new Set(served)].sort())
})

test('the table of statuses holds every error code that an answer can have, with its status', () => {
  const source = read('src/api/error-handler.ts')
  const codes = [...source.matchAll(/^ {2}(\w+): (4\d\d|503),$/gm)].map(([, code = '', status = '']) => [status, code])
  expect(table('status', 'code', 'when').map(([status, code]) => [status, quoted(code)[0]])).toEqual(codes)
})

test('the table of settings holds every setting, its variable and its default', () => {
  const rows = table('flag', 'variable', 'default').map(([flag, variable, value]) => [
    quoted(flag)[0],
    quoted(variable)[0],
    quoted(value)[0] ?? value,
  ])
  const settings = Object.entries(configSchema.properties).map(([name, property]) => [
    `--${name}`,
    `CALLME_${name.toUpperCase().replaceAll('-', '_')}`,
    'default' in property ? String(property.default) : 'none',
  ])
  expect(rows).toEqual(settings)
})

test('every flag and variable that a text names is a setting', () => {
  const flags = Object.keys(configSchema.properties).map((name) => `--${name}`)
  for (const text of [readme, architecture, read('CONTRIBUTING.md')]) {
    for (const [flag] of text.matchAll(/(?<![\w-])--[a-z][a-z-]+/g)) expect(flags).toContain(flag)
    for (const [variable] of text.matchAll(/CALLME_[A-Z_]+/g))
      expect(flags.map((flag) => `CALLME_${flag.slice(2).toUpperCase().replaceAll('-', '_')}`)).toContain(variable)
  }
})

test('the table of states holds the states, and both diagrams show transitions that exist', () => {
  expect(table('state', 'meaning').flatMap(([state]) => quoted(state))).toEqual([...TASK_STATES])
  for (const text of [readme, architecture]) {
    for (const [, from = '', to = ''] of text.matchAll(/^ {2}(\w+) --> (\w+):/gm)) {
      const targets = Object.values(TRANSITIONS[from as keyof typeof TRANSITIONS]).flat()
      expect(targets, `${from} --> ${to}`).toContain(to)
    }
  }
})

test('the diagram of the architecture shows every transition between two states', () => {
  const shown = [...architecture.matchAll(/^ {2}(\w+) --> (\w+):/gm)].map(([, from, to]) => `${from ?? ''} ${to ?? ''}`)
  for (const [from, events] of Object.entries(TRANSITIONS)) {
    for (const to of Object.values(events).flat()) if (to !== from) expect(shown).toContain(`${from} ${to}`)
  }
})

test('files that a text names are there', () => {
  for (const [, path = ''] of [
    ...readme.matchAll(/\]\(([A-Z]+(?:\.md)?)\)/g),
    ...architecture.matchAll(/`((?:test|schema\/api)\/[\w/.-]+\.\w+)`/g),
  ])
    expect(read(path).length).toBeGreaterThan(0)
})
