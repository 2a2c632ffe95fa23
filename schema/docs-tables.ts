/**
 * The tables of the pages that come from the schemas. A table stands between a line `<!-- generated: NAME -->` and a line
 * `<!-- end -->`. The names are `fields of X` (api/X.json), `parameters of X` (api/X-query.json), `settings` and `errors`.
 */
import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

interface Property {
  readonly $ref?: string
  readonly description?: string
  readonly expects?: string
  readonly default?: unknown
  readonly secret?: boolean
}

interface Schema {
  readonly properties: Readonly<Record<string, Property>>
  readonly required?: readonly string[]
}

type Row = readonly string[]

const MARKED = /(?<=^<!-- generated: (.+) -->\n)[^]*?(?=^<!-- end -->$)/gm

const root = new URL('../', import.meta.url)

/** The README and every page, as paths from the root of the repository. */
export const PAGES: readonly string[] = [
  'README.md',
  ...globSync('src/docs/**/*.md', { cwd: fileURLToPath(root) })
    .map((path) => path.replaceAll('\\', '/'))
    .sort(),
]

/** The names of the tables of a page, in their order. */
export function tablesOf(page: string): string[] {
  return [...page.matchAll(MARKED)].map(([, name = '']) => name)
}

/** @returns the page with the tables that the schemas give now @throws Error on a table that has no schema */
export function withTables(page: string): string {
  return page.replaceAll(MARKED, (_, name: string) => `\n${render(rowsOf(name))}\n`)
}

function rowsOf(name: string): readonly Row[] {
  if (name === 'settings') return settingRows()
  if (name === 'errors') return errorRows()
  const [, kind, schema] = /^(fields|parameters) of ([a-z-]+)$/.exec(name) ?? []
  if (schema === undefined) throw new Error(`no schema gives a table ${JSON.stringify(name)}`)
  return kind === 'fields' ? fieldRows(`api/${schema}.json`) : parameterRows(`api/${schema}-query.json`)
}

function fieldRows(file: string): readonly Row[] {
  const { properties, required = [] } = read(file) as Schema
  return [
    ['field', 'must be', 'default', 'meaning'],
    ...Object.entries(properties).map(([name, property]) => {
      const { expects, description } = resolve(property)
      return [code(name), prose(expects), required.includes(name) ? 'required' : defaultOf(property), prose(description)]
    }),
  ]
}

function parameterRows(file: string): readonly Row[] {
  const { properties } = read(file) as Schema
  return [
    ['parameter', 'must be', 'meaning'],
    ...Object.entries(properties).map(([name, property]) => {
      const { expects, description } = resolve(property)
      return [code(name), prose(expects), prose(description)]
    }),
  ]
}

function settingRows(): readonly Row[] {
  const { properties } = read('config.json') as Schema
  return [
    ['flag', 'variable', 'default', 'must be', 'meaning'],
    ...Object.entries(properties).map(([name, property]) => {
      const variable = `CALLME_${name.toUpperCase().replaceAll('-', '_')}`
      const ofFile = property.secret ? ` ${code(`${variable}_FILE`)} names a file that holds it.` : ''
      return [code(`--${name}`), code(variable), defaultOf(property), prose(property.expects), prose(property.description) + ofFile]
    }),
  ]
}

function errorRows(): readonly Row[] {
  const errors = read('api/errors.json') as Readonly<Record<string, { readonly status: number; readonly meaning: string }>>
  return [['code', 'status', 'meaning'], ...Object.entries(errors).map(([name, { status, meaning }]) => [code(name), `${status}`, meaning])]
}

/** What a property says itself, over what it refers to. */
function resolve({ $ref, ...own }: Property): Property {
  if ($ref === undefined) return own
  const [file = '', pointer = ''] = $ref.split('#/')
  const target = pointer.split('/').reduce<unknown>((node, part) => (node as Record<string, unknown>)[part], read(`api/${file}`))
  return { ...(target as Property), ...own }
}

/** Of the property itself: a handler has no default where its task has one. */
function defaultOf(property: Property): string {
  if (property.default === undefined) return 'none'
  return code(typeof property.default === 'string' && property.default !== '' ? property.default : JSON.stringify(property.default))
}

/** Text as Markdown: quoted words become code, and nothing outside code is taken for a tag or for emphasis. */
function prose(text = ''): string {
  return text
    .split(/(`[^`]*`|"[^"]*")/)
    .map((part, index) => (index % 2 === 0 ? part.replace(/[<*]/g, '\\$&') : part.startsWith('`') ? part : code(part)))
    .join('')
}

function code(text: string): string {
  return `\`${text}\``
}

function render([head = [], ...rows]: readonly Row[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('')
}

function read(file: string): unknown {
  return JSON.parse(readFileSync(new URL(`schema/${file}`, root), 'utf8'))
}
