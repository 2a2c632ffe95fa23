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
const SEAMS = ['src/store/store.ts', 'src/store/ledger.ts', 'src/caller/caller.ts', 'src/clock.ts', 'src/log.ts']
/** What the stores share. */
const STORE_PARTS = globSync('src/store/*.ts', { cwd: ROOT })
  .map((path) => path.replaceAll('\\', '/'))
  .filter((path) => path !== 'src/store/open-store.ts' && path !== 'src/store/read-ledger.ts')
const ADAPTERS = [...SEAMS, ...STORE_PARTS, DOMAIN]

/** The first layer that holds a file is its own. */
const LAYERS: readonly Layer[] = [
  { part: DOMAIN, ours: [], packages: ['croner'], node: ['node:crypto'] },
  { part: 'src/store/ledger.ts', ours: [DOMAIN], packages: [], node: [] },
  { part: 'src/store/store.ts', ours: [DOMAIN, 'src/store/ledger.ts'], packages: [], node: [] },
  { part: 'src/caller/caller.ts', ours: [DOMAIN], packages: [], node: [] },
  { part: 'src/clock.ts', ours: [], packages: [], node: [] },
  { part: 'src/log.ts', ours: [], packages: ['pino', 'pino-pretty'], node: [] },
  { part: 'src/version.ts', ours: [], packages: [], node: ['node:module'] },
  { part: 'src/schema-types.ts', ours: [], packages: [], node: [] },
  { part: 'src/config.ts', ours: [DOMAIN, 'src/log.ts', 'schema/config.json'], packages: ['ajv', 'leven'], node: ['node:net'] },
  { part: 'src/store/open-store.ts', ours: ['src/config.ts', 'src/store/'], packages: [], node: [] },
  { part: 'src/store/read-ledger.ts', ours: ['src/config.ts', 'src/store/'], packages: [], node: [] },
  { part: 'src/verify/', ours: [DOMAIN, 'src/store/ledger.ts'], packages: [], node: [] },
  { part: 'src/store/sqlite/', ours: ADAPTERS, packages: ['better-sqlite3'] },
  { part: 'src/store/postgres/', ours: ADAPTERS, packages: ['pg'] },
  ...STORE_PARTS.map((part) => ({ part, ours: [DOMAIN, ...STORE_PARTS], packages: [], node: ['node:fs'] })),
  { part: 'src/caller/', ours: [...ADAPTERS, 'src/version.ts'], packages: ['got'] },
  { part: 'src/scheduler/', ours: [DOMAIN, ...SEAMS, 'src/version.ts'], packages: [] },
  {
    part: 'src/api/',
    ours: [DOMAIN, ...SEAMS, 'src/schema-types.ts', 'src/version.ts', 'schema/api/'],
    packages: ['express', 'ajv', 'leven'],
  },
  {
    part: 'src/server.ts',
    ours: [DOMAIN, ...SEAMS, 'src/api/', 'src/caller/', 'src/config.ts', 'src/scheduler/', 'src/store/', 'src/version.ts'],
    packages: [],
  },
  {
    part: 'src/cli/',
    ours: [DOMAIN, 'src/config.ts', 'src/log.ts', 'src/server.ts', 'src/store/read-ledger.ts', 'src/verify/', 'src/version.ts'],
    packages: ['commander'],
  },
]

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
    ['src/domain/task.ts', "import Database from 'better-sqlite3'"],
    ['src/domain/task.ts', "import type { Store } from '../store/store.ts'"],
    ['src/domain/task.ts', "import { readFile } from 'node:fs'"],
    ['src/scheduler/ticker.ts', "import { openSqliteStore } from '../store/sqlite/open-sqlite-store.ts'"],
    ['src/scheduler/ticker.ts', "export { got } from 'got'"],
    ['src/api/put-task.ts', "const store = await import('../store/sqlite/sqlite-store.ts')"],
    ['src/store/sqlite/session.ts', "import { start } from '../../server.ts'"],
    ['src/store/postgres/session.ts', "import Database from 'better-sqlite3'"],
    ['src/store/task-row.ts', "import { openSession } from './sqlite/session.ts'"],
    ['src/server.ts', "import express from 'express'"],
    ['src/server.ts', "import { serveCommand } from './cli/serve.ts'"],
    ['src/utils.ts', ''],
  ])('would be refused if %s held: %s', (file, text) => {
    expect(wrongImports(file, text)).toHaveLength(1)
  })

  it('reads the environment and ends the process only in the command line', () => {
    const offenders = sources.filter(({ file, text }) => !file.startsWith('src/cli/') && /\bprocess\.(env|exit|exitCode|argv)\b/.test(text))
    expect(offenders.map(({ file }) => file)).toEqual([])
  })

  it(`has no file of more than ${MAX_LINES} lines but the one that is generated`, () => {
    const written = sources.filter(({ file }) => file !== 'src/schema-types.ts')
    const long = written.filter(({ text }) => text.trimEnd().split('\n').length > MAX_LINES)
    expect(long.map(({ file }) => file)).toEqual([])
  })
})
