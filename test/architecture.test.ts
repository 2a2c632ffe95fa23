/** The shape of the source, measured: which part may know which other part, and how long a file may be. */
import { globSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const MAX_LINES = 250

interface Layer {
  /** the files of this layer: a folder that ends in a slash, or one file */
  readonly part: string
  /** our own files it may import besides its own */
  readonly ours: readonly string[]
  /** npm packages */
  readonly packages: readonly string[]
  /** modules of Node.js; all of them unless listed */
  readonly node?: readonly string[]
}

const DOMAIN = 'src/domain/'
const CLOCK = 'src/clock.ts'
const LOG = 'src/telemetry/log.ts'
const CALLER = 'src/caller/caller.ts'
const LEASE = 'src/lease.ts'
const SUGGEST = 'src/suggest.ts'
/** What scheduler and API know of the outside. */
const SEAMS = ['src/store/store.ts', 'src/store/ledger.ts', CALLER, CLOCK, LEASE, LOG]
/** What both stores share: the seams, what a store decides, how its rows look, and its migrations. */
const SHARED = ['src/store/store.ts', 'src/store/ledger.ts', 'src/store/rules/', 'src/store/rows/', 'src/store/migrations.ts']

/** The first layer that holds a file is its own. */
const LAYERS: readonly Layer[] = [
  { part: DOMAIN, ours: [], packages: ['croner'], node: ['node:crypto'] },
  { part: SUGGEST, ours: [], packages: ['leven'], node: [] },
  { part: 'src/wire/', ours: [DOMAIN, SUGGEST, 'schema/api/'], packages: ['ajv'], node: [] },
  { part: 'src/store/ledger.ts', ours: [DOMAIN], packages: [], node: [] },
  { part: 'src/store/store.ts', ours: [DOMAIN, 'src/store/ledger.ts'], packages: [], node: [] },
  { part: 'src/store/rows/', ours: [DOMAIN], packages: [], node: [] },
  { part: 'src/store/rules/', ours: [DOMAIN, 'src/store/store.ts', 'src/store/rows/'], packages: [], node: [] },
  { part: 'src/store/migrations.ts', ours: [DOMAIN], packages: [], node: ['node:fs'] },
  { part: 'src/store/sqlite/', ours: [DOMAIN, ...SHARED], packages: ['better-sqlite3'] },
  { part: 'src/store/postgres/', ours: [DOMAIN, ...SHARED], packages: ['pg'] },
  { part: 'src/store/open-store.ts', ours: [DOMAIN, 'src/config/', 'src/store/'], packages: [], node: [] },
  { part: CALLER, ours: [DOMAIN, LEASE], packages: [], node: [] },
  { part: LEASE, ours: [], packages: [], node: [] },
  { part: CLOCK, ours: [], packages: [], node: [] },
  { part: LOG, ours: ['src/telemetry/terminal-line.ts'], packages: ['pino'], node: [] },
  { part: 'src/telemetry/terminal-line.ts', ours: [], packages: ['pino-pretty'], node: [] },
  { part: 'src/telemetry/log-output.ts', ours: [], packages: [], node: ['node:stream', 'node:timers/promises'] },
  { part: 'src/version.ts', ours: [], packages: [], node: ['node:module'] },
  { part: 'src/config/', ours: [DOMAIN, LOG, SUGGEST, 'schema/config.json'], packages: ['ajv'], node: ['node:net'] },
  { part: 'src/verify/', ours: [DOMAIN, 'src/store/ledger.ts'], packages: [], node: [] },
  { part: 'src/caller/', ours: [DOMAIN, CLOCK, LEASE, LOG], packages: ['undici'] },
  { part: 'src/scheduler/', ours: [DOMAIN, 'src/wire/', ...SEAMS], packages: [] },
  { part: 'src/api/', ours: [DOMAIN, 'src/wire/', ...SEAMS, 'schema/api/'], packages: ['express'] },
  {
    part: 'src/server.ts',
    ours: [...SEAMS, 'src/api/', 'src/caller/', 'src/config/', 'src/scheduler/', 'src/store/open-store.ts', 'src/version.ts'],
    packages: [],
  },
  {
    part: 'src/cli/',
    ours: [DOMAIN, SUGGEST, 'src/config/', 'src/telemetry/', 'src/server.ts', 'src/store/open-store.ts', 'src/verify/', 'src/version.ts'],
    packages: ['commander'],
  },
]

/** The rooms of each store. A room imports none that comes after it. */
const STORE_ROOMS = ['commit', 'memory', 'rows', 'tasks', 'results', 'handlers', 'claims', 'history', 'retention']
const MOST_FILES = 12

const sources = globSync('src/**/*.ts', { cwd: ROOT }).map((path) => {
  const file = path.replaceAll('\\', '/')
  return { file, text: readFileSync(posix.join(ROOT, file), 'utf8') }
})

/** What is wrong with the imports of one file; types count as well as values. */
function wrongImports(file: string, text: string): string[] {
  const layer = LAYERS.find(({ part }) => isIn(file, part))
  if (layer === undefined) return [`${file} belongs to no layer`]
  return ts
    .preProcessFile(text)
    .importedFiles.map(({ fileName }) => fileName)
    .filter((specifier) => !mayImport(layer, file, specifier))
    .map((specifier) => `${file} imports ${specifier}`)
}

function mayImport(layer: Layer, file: string, specifier: string): boolean {
  if (specifier.startsWith('.')) {
    const target = posix.join(posix.dirname(file), specifier)
    return [layer.part, ...layer.ours].some((part) => isIn(target, part))
  }
  if (specifier.startsWith('node:')) return layer.node?.includes(specifier) ?? true
  return layer.packages.includes(packageOf(specifier))
}

/** The room of a store in which a file stands, as its place among the rooms; -1 outside of them. */
function roomOf(file: string): number {
  return STORE_ROOMS.indexOf(/^src\/store\/(?:sqlite|postgres)\/(\w+)\//.exec(file)?.[1] ?? '')
}

/** The imports of a file of a store's room that lead to a later room. */
function upwardImports(file: string, text: string): string[] {
  const targets = ts.preProcessFile(text).importedFiles.map(({ fileName }) => posix.join(posix.dirname(file), fileName))
  return roomOf(file) === -1 ? [] : targets.filter((target) => roomOf(target) > roomOf(file)).map((target) => `${file} imports ${target}`)
}

function isIn(file: string, part: string): boolean {
  return part.endsWith('/') ? file.startsWith(part) : file === part
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

describe('the source', () => {
  it('imports only in the direction of the layers', () => {
    expect(sources.length).toBeGreaterThan(10)
    expect(sources.flatMap(({ file, text }) => wrongImports(file, text))).toEqual([])
  })

  it.each([
    ['src/domain/task/task.ts', "import Database from 'better-sqlite3'"],
    ['src/domain/task/task.ts', "import type { Store } from '../../store/store.ts'"],
    ['src/domain/task/task.ts', "import { readFile } from 'node:fs'"],
    ['src/scheduler/ticker.ts', "import { openSqliteStore } from '../store/sqlite/open-sqlite-store.ts'"],
    ['src/scheduler/ticker.ts', "export { request } from 'undici'"],
    ['src/caller/http-call.ts', "import got from 'got'"],
    ['src/api/tasks/put-task.ts', "const store = await import('../../store/sqlite/sqlite-store.ts')"],
    ['src/store/sqlite/session.ts', "import { start } from '../../server.ts'"],
    ['src/store/postgres/session.ts', "import Database from 'better-sqlite3'"],
    ['src/store/rows/task-row.ts', "import { openSession } from '../sqlite/session.ts'"],
    ['src/server.ts', "import express from 'express'"],
    ['src/server.ts', "import { serveCommand } from './cli/serve.ts'"],
    ['src/utils.ts', ''],
  ])('would be refused if %s held: %s', (file, text) => {
    expect(wrongImports(file, text)).toHaveLength(1)
  })

  it('has the same rooms in both stores, and each imports none that comes after it', () => {
    for (const store of ['sqlite', 'postgres']) {
      const rooms = sources.flatMap(({ file }) => new RegExp(`^src/store/${store}/(\\w+)/`).exec(file)?.[1] ?? [])
      expect([...new Set(rooms)].sort()).toEqual([...STORE_ROOMS].sort())
    }
    expect(sources.flatMap(({ file, text }) => upwardImports(file, text))).toEqual([])
    expect(upwardImports('src/store/sqlite/rows/rows.ts', "import { record } from '../results/record.ts'")).toHaveLength(1)
  })

  it(`has at most ${MOST_FILES} files in a folder`, () => {
    const folders = Map.groupBy(sources, ({ file }) => posix.dirname(file))
    expect([...folders].filter(([, files]) => files.length > MOST_FILES).map(([folder]) => folder)).toEqual([])
  })

  it('reads the environment and ends the process only in the command line', () => {
    const offenders = sources.filter(({ file, text }) => !file.startsWith('src/cli/') && /\bprocess\.(env|exit|exitCode|argv)\b/.test(text))
    expect(offenders.map(({ file }) => file)).toEqual([])
  })

  it(`has no file of more than ${MAX_LINES} lines but the one that is generated`, () => {
    const written = sources.filter(({ file }) => file !== 'src/wire/bodies.ts')
    const long = written.filter(({ text }) => text.trimEnd().split('\n').length > MAX_LINES)
    expect(long.map(({ file }) => file)).toEqual([])
  })
})
