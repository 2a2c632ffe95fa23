/** What the README and the pages name exists, and what exists is named there: fields, endpoints, parameters, events, codes, settings, states. */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { posix } from 'node:path'
import { expect, test } from 'vitest'
import ackSchema from '../schema/api/ack.json' with { type: 'json' }
import errors from '../schema/api/errors.json' with { type: 'json' }
import handlerSchema from '../schema/api/handler.json' with { type: 'json' }
import taskSchema from '../schema/api/task.json' with { type: 'json' }
import configSchema from '../schema/config.json' with { type: 'json' }
import { PAGES, tablesOf, withTables } from '../schema/docs-tables.ts'
import { ENDPOINTS } from '../src/api/endpoints.ts'
import { verifyCommand } from '../src/cli/commands/verify.ts'
import { SETTINGS } from '../src/config/settings.ts'
import { presentTask } from '../src/wire/present-task.ts'
import { pendingTask, TASK_STATES } from '../src/domain/task/task.ts'
import { CHANGE_KINDS } from '../src/domain/task/task-change.ts'
import { TRANSITIONS } from '../src/domain/attempt/transitions.ts'
import { aTask } from './support/a-task.ts'
import { readCurl } from './support/curl.ts'

const MAX_README_BYTES = 8192
const MAX_SENTENCE_WORDS = 25

const readme = read('README.md')
const architecture = read('ARCHITECTURE.md')
/** The README and the pages: the path of each, and its text. */
const pages = new Map(PAGES.map((path) => [path, read(path)]))
const everyPage = [...pages.values()].join('\n')
/** What those who change callme read. */
const guides = new Map(
  ['ARCHITECTURE.md', 'CONTRIBUTING.md', 'src/store/README.md', 'src/store/sqlite/README.md', 'src/store/postgres/README.md'].map(
    (path) => [path, read(path)],
  ),
)

function read(name: string): string {
  return readFileSync(new URL(`../${name}`, import.meta.url), 'utf8')
}

function page(name: string): string {
  const text = pages.get(`src/docs/${name}.md`)
  expect(text, `the page ${name}`).toBeDefined()
  return text ?? ''
}

/** The rows of the first table of the text whose head starts with these cells. */
function table(text: string, ...head: string[]): string[][] {
  const lines = text.split('\n')
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

/** The rows of the table that a page has from a schema. */
function generated(text: string, name: string): string[][] {
  const [, section = ''] = text.split(`<!-- generated: ${name} -->\n`)
  const [head = '', ...rows] = section.split('<!-- end -->')[0]?.trim().split('\n') ?? []
  expect(head, `the table ${name}`).toMatch(/^\| (field|parameter|flag|code) \|/)
  return rows.slice(1).map((line) => line.slice(2, -2).split(' | '))
}

function quoted(text: string | undefined): string[] {
  return [...(text ?? '').matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '')
}

test('there is a page for each subject, and the README stays a first look', () => {
  const others = ['dsw', 'rickover', 'errands-server', 'delay-tasks', 'go-callme', 'README'].map((name) => `coming-from/${name}`)
  const names = ['tasks', 'repeating', 'handlers', 'long-work', 'events', 'api', 'promises', 'operating', ...others]
  expect([...pages.keys()].sort()).toEqual(['README.md', ...names.map((name) => `src/docs/${name}.md`)].sort())
  expect(Buffer.byteLength(readme)).toBeLessThanOrEqual(MAX_README_BYTES)
  for (const command of ['npm ci && npm start', 'npm ci && npm test']) expect(readme).toContain(`\n${command}\n`)
})

test('the tables that come from schemas are those that the schemas give now: npx node schema/generate-docs.ts', () => {
  for (const [path, text] of pages) expect(text, path).toBe(withTables(text))
})

test('every schema of what clients send has one table, and so have the settings and the errors', () => {
  const schemas = readdirSync(new URL('../schema/api', import.meta.url)).map((file) => file.replace('.json', ''))
  const bodies = schemas.filter((name) => !['errors', 'parameters'].includes(name) && !name.endsWith('-query'))
  const queries = schemas.filter((name) => name.endsWith('-query')).map((name) => name.replace('-query', ''))
  const expected = [...bodies.map((name) => `fields of ${name}`), ...queries.map((name) => `parameters of ${name}`), 'settings', 'errors']
  expect([...pages.values()].flatMap(tablesOf).sort()).toEqual(expected.sort())
})

test('the table of task fields holds the fields of the schema, with their defaults', () => {
  const rows = generated(page('tasks'), 'fields of task')
  expect(rows.map(([field]) => quoted(field)[0])).toEqual(Object.keys(taskSchema.properties))
  for (const [name, property] of Object.entries(taskSchema.properties)) {
    if (!('default' in property)) continue
    const row = rows.find(([field]) => field === `\`${name}\``)
    expect(row?.[2], name).toBe(
      `\`${typeof property.default === 'string' && property.default !== '' ? property.default : JSON.stringify(property.default)}\``,
    )
  }
})

test('the first task reads back with the members that a task has, in their order', () => {
  const [, shown = ''] = /```json\n(\{\n {4}"message"[^]*?)\n```/.exec(readme) ?? []
  const { task } = JSON.parse(shown) as { task: object }
  expect(Object.keys(task)).toEqual(
    Object.keys(presentTask(pendingTask(aTask(), { created: 0, now: 0 }), { timeout: 15, expectedStatus: 200 })),
  )
})

test('the table of a handler holds its fields: defaults, which a task has too, then limits', () => {
  const fields = generated(page('handlers'), 'fields of handler').map(([field]) => quoted(field)[0] ?? '')
  expect(fields).toEqual(Object.keys(handlerSchema.properties))
  const [first, last, firstLimit, lastLimit] = quoted(/^The fields from [^]+? are limits\./m.exec(page('handlers'))?.[0])
  const between = (from = '', to = '') => fields.slice(fields.indexOf(from), fields.indexOf(to) + 1)
  const [defaults, limits] = [between(first, last), between(firstLimit, lastLimit)]
  expect([...defaults, ...limits, 'name', 'task_name']).toEqual(fields)
  expect(Object.keys(taskSchema.properties)).toEqual(expect.arrayContaining(defaults))
  for (const limit of limits) expect(Object.keys(taskSchema.properties)).not.toContain(limit)
})

test('the table of an acknowledgement holds the members of its body', () => {
  expect(generated(page('long-work'), 'fields of ack').map(([field]) => quoted(field)[0])).toEqual(Object.keys(ackSchema.properties))
})

test('the table of events holds the kinds of changes', () => {
  expect(table(page('events'), 'event', 'when').flatMap(([event]) => quoted(event))).toEqual([...CHANGE_KINDS])
})

function parametersOf(schema: string): string[] {
  return Object.keys((JSON.parse(read(`schema/api/${schema}`)) as { properties: object }).properties)
}

const parameters = new Set(
  readdirSync(new URL('../schema/api', import.meta.url))
    .filter((file) => file.endsWith('-query.json'))
    .flatMap(parametersOf),
)

test('the tables of parameters hold the query parameters of the schemas', () => {
  const tables = [...pages.values()].flatMap((text) =>
    tablesOf(text)
      .filter((name) => name.startsWith('parameters of '))
      .map((name) => [name, generated(text, name).map(([parameter]) => quoted(parameter)[0])] as const),
  )
  expect(tables.length).toBeGreaterThan(5)
  for (const [name, shown] of tables) expect(shown).toEqual(parametersOf(`${name.replace('parameters of ', '')}-query.json`))
})

/** Method and path, without what stands for a name or a key. */
const served = new Set(
  ENDPOINTS.flatMap(({ method, paths }) => paths.map((path) => `${method.toUpperCase()} ${path.replace('/:target', '')}`)),
)

test('the table of endpoints holds the paths and methods of the API', () => {
  const named = table(page('api'), 'method and path', 'does').flatMap(([cell]) =>
    quoted(cell).map((text) => text.replace(/\/<.*$/, '').replace(/(.)\/$/, '$1')),
  )
  expect(served.size).toBeGreaterThan(15)
  expect([...new Set(named)].map((text) => text.replace(/^GET ?$/, 'GET /')).sort()).toEqual([...served].sort())
})

test('every curl line is one that a shell reads as it stands, for an endpoint and parameters that there are', () => {
  const lines = [...everyPage.matchAll(/^curl .+$|(?<=`)curl [^`]+/gm)].map(([line]) => line)
  expect(lines.length).toBeGreaterThan(50)
  for (const line of lines) {
    const { method, url } = readCurl(line)
    const { host, pathname, searchParams } = new URL(url)
    expect(host, line).toBe('127.0.0.1:6777')
    expect(served, line).toContain(`${method} /${pathname.split('/')[1] ?? ''}`)
    for (const name of searchParams.keys()) expect(parameters, line).toContain(name)
  }
})

test('the table of errors holds every error code, with its status', () => {
  const [, union = ''] = /export type ErrorCode =((?:\n {2}\| '\w+')+)/.exec(read('src/domain/errors.ts')) ?? []
  const codes = [...union.matchAll(/'(\w+)'/g)].map(([, code]) => code)
  expect(Object.keys(errors).sort()).toEqual(codes.sort())
  const rows = generated(page('api'), 'errors').map(([code, status]) => [quoted(code)[0], status])
  expect(rows).toEqual(Object.entries(errors).map(([code, { status }]) => [code, String(status)]))
})

test('the table of settings holds every setting, its variable and its default', () => {
  const rows = generated(page('operating'), 'settings').map(([flag, variable, value]) => [
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

test('every flag and variable that a text names is a setting, the file of a secret one, of a command, or for tests', () => {
  const flags = [...SETTINGS.map(({ name }) => `--${name}`), ...verifyCommand().options.map(({ long }) => long)]
  const readers = ['test/support/postgres-global-setup.ts', 'test/bench/support/postgres.ts']
  const ofTests = [
    ...readers
      .map(read)
      .join('')
      .matchAll(/(?<=env\[')CALLME_[A-Z_]+/g),
  ].map(([variable]) => variable)
  const variables = [...SETTINGS.flatMap(({ variable, secret }) => (secret ? [variable, `${variable}_FILE`] : [variable])), ...ofTests]
  for (const text of [everyPage, architecture, read('CONTRIBUTING.md')]) {
    const ofCallme = text.replaceAll(/`npm run [^`]*`/g, '')
    for (const [flag] of ofCallme.matchAll(/(?<![\w-])--[a-z][a-z-]+/g)) expect(flags).toContain(flag)
    for (const [variable] of text.matchAll(/CALLME_[A-Z_]+/g)) expect(variables).toContain(variable)
  }
})

test('the table of states holds the states, and both diagrams show transitions that exist', () => {
  expect(table(page('api'), 'state', 'meaning').flatMap(([state]) => quoted(state))).toEqual([...TASK_STATES])
  for (const text of [page('api'), architecture]) {
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

/** The anchors of the headings of a page, as GitHub makes them. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\w\s-]/g, '')
      .replaceAll(' ', '-'),
  )
}

test('every link between the pages leads to a file, and to a heading of it', () => {
  const links = [...pages].flatMap(([path, text]) =>
    [...text.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)/g)].map(([, to = '', anchor]) => ({ path, to, anchor })),
  )
  expect(links.length).toBeGreaterThan(40)
  for (const { path, to, anchor } of links) {
    const target = to === '' ? path : posix.join(posix.dirname(path), to)
    const text = pages.get(target) ?? read(target)
    if (anchor !== undefined) expect(anchorsOf(text), `${path}: ${to}#${anchor}`).toContain(anchor)
  }
  for (const path of pages.keys()) {
    if (path === 'README.md') continue
    expect(
      links.some((link) => link.path === 'README.md' && link.to === path),
      `a link from the README to ${path}`,
    ).toBe(true)
  }
})

test('files and folders that the guides name are there', () => {
  const named = [...guides].flatMap(([path, text]) => {
    return [...text.matchAll(/`([\w.-]+\/(?:[\w.-]+\/)*(?:[\w.-]+\.\w+)?)`/g)].map(([, name = '']) => ({ path, name }))
  })
  expect(named.length).toBeGreaterThan(40)
  const isThere = ({ path, name }: { path: string; name: string }): boolean =>
    ['.', 'src', posix.dirname(path), 'src/store/sqlite', 'src/store/postgres'].some((folder) =>
      existsSync(new URL(`../${posix.join(folder, name)}`, import.meta.url)),
    )
  expect(named.filter((one) => !isThere(one))).toEqual([])
})

/** The sentences of a page, without tables, code and headings; what stands in code or in a link's address counts as one word or none. */
function sentencesOf(text: string): string[] {
  return text
    .replace(/^```[^]*?^```$/gm, '')
    .replace(/^(?:\||#|<!--).*$/gm, '')
    .replace(/`[^`]+`/g, 'code')
    .replace(/\]\([^)]+\)/g, '')
    .split(/\n{2,}|\n(?= *(?:-|\d+\.) )/)
    .flatMap((paragraph) => paragraph.replaceAll(/\s+/g, ' ').split(/(?<=[.?!]\**) (?=\S)/))
    .filter((sentence) => sentence.trim() !== '')
}

test(`no sentence of the pages and the guides has more than ${MAX_SENTENCE_WORDS} words`, () => {
  const sentences = [...pages.values(), ...guides.values()].flatMap(sentencesOf)
  expect(sentences.length).toBeGreaterThan(300)
  expect(sentences.filter((sentence) => (sentence.match(/[\w'’-]+/g)?.length ?? 0) > MAX_SENTENCE_WORDS)).toEqual([])
})

test('a stored row is a task on every page, as it is in the API', () => {
  for (const [path, text] of pages) expect(text, path).not.toMatch(/\bentr(y|ies)\b/i)
})

/** What the other systems document: their routes as they write them, and whatever else their users know by name. */
const OTHER_SYSTEMS = {
  dsw: {
    routes: ['GET /', 'GET /health', 'GET /jobs', 'POST /jobs'],
    words:
      'uri, execute_at, payload, error_uri, error_url, id, created_at, updated_at, meta, response, message, POSTGRES_URL, ENVIRONMENT, .env',
  },
  rickover: {
    routes: [
      ...['POST /v1/jobs', 'GET /v1/jobs/:name', 'PUT /v1/jobs/:name/:id', 'GET /v1/jobs/:name/:id'],
      ...['POST /v1/jobs/:name/:id', 'POST /v1/jobs/:name/:id/replay'],
    ],
    words: `GET /v1/jobs/:id, POST /v1/jobs/:id/replay, PUT /v1/jobs/:name/random_id, delivery_strategy, attempts, concurrency, data, run_after,
      expires_at, status, succeeded, failed, expired, attempt, retryable, queued, in-progress, queued_jobs, archived_jobs, DefaultTimeout,
      UnavailableSleepFactor, ArchiveStuckJobs, GetSleepDuration, HandleStatusCallback, WatchStuckJobs, JobProcessor.Timeout, Client, SleepFactor,
      NewJobProcessor(downstreamUrl, server.AddUser, Authorizer, Worker, PORT, DATABASE_URL, PG_SERVER_POOL_SIZE, PG_WORKER_POOL_SIZE,
      LIBRATO_TOKEN, HOMEPAGE_IFRAME_URL, DOWNSTREAM_URL, DOWNSTREAM_WORKER_AUTH, DEBUG_HTTP_TRAFFIC`,
  },
  'errands-server': {
    routes: [
      ...['GET /v1/errand/:id', 'DELETE /v1/errand/:id', 'PUT /v1/errand/:id', 'PUT /v1/errand/:id/failed', 'PUT /v1/errand/:id/completed'],
      ...['POST /v1/errand/:id/retry', 'POST /v1/errands/', 'GET /v1/errands/', 'GET /v1/errands/notifications'],
      ...['POST /v1/errands/process/:type', 'GET /v1/errands/list/:key/:val', 'POST /v1/errands/update/:key/:val'],
      'POST /v1/errands/clear/:duration',
    ],
    words: `POST /v1/errand/:id/log, POST /v1/pipeline/, GET /v1/pipeline/:id, DELETE /v1/pipeline/:id, GET /v1/pipelines/, GET /metrics, type, name, data,
      id, options.retries, options.ttl, options.priority, options.deleteOnCompleted, progress, logs, results, reason, blocked, inactive, active,
      created, updated, completed, processing, retry, failed, *, ERRANDS_PORT=:4545, ERRANDS_STORAGE="/errands/", Postman, client libraries, docker run`,
  },
  'delay-tasks': {
    routes: ['GET /health', 'POST /handler/:cate', 'POST /task/:cate', 'DELETE /task/:cate', 'GET /task/:cate/:key', 'GET /tasks'],
    words: `handler, timestamp, key, params, exec, cate, inAdvance, timeToRun, code, msg, result, CONF_FILE, listen-host, listen-port, saving-home,
      cb-retry-times, TZ`,
  },
  'go-callme': {
    routes: [
      ...['PUT /task/<task_name>', 'GET /status/<task_name>@<trigger_at>', 'GET /status/<task_name>', 'GET /status/'],
      ...['POST /reschedule/<task_name>@<trigger_at>', 'POST /reschedule/<task_name>'],
    ],
    words: `task_name, trigger_at, callback, callback_method, payload, expected_http_status, retry, max_delay, start_from, next, future_only, all=true,
      pretty, pretty=true`,
  },
} as const

for (const [system, { routes, words }] of Object.entries(OTHER_SYSTEMS)) {
  test(`${system}: its whole surface has a place in the table, and each route that has one in callme a curl line`, () => {
    const section = page(`coming-from/${system}`)
    const theirs = [...section.matchAll(/^\| (.+?) \|/gm)].map(([, cell]) => cell).join('\n')
    for (const word of words.split(/,\s+/)) expect(theirs).toMatch(new RegExp(`(?<![\\w-])${word.replace(/[^\w\s]/g, '\\$&')}(?![\\w-])`))
    const mapped = [...section.matchAll(/^# ((?:GET|PUT|POST|DELETE) [^ ,]+).* → \d{3}\ncurl /gm)].map(([, route]) => route)
    expect([...new Set(mapped)].sort()).toEqual([...routes].sort())
    for (const route of routes) expect(quoted(theirs)).toContain(route)
  })
}
