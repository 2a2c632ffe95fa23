/** What the README names exists, and what exists is named there: fields, endpoints, parameters, events, codes, settings, states. */
import { readFileSync, readdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import ackSchema from '../schema/api/ack.json' with { type: 'json' }
import handlerSchema from '../schema/api/handler.json' with { type: 'json' }
import taskSchema from '../schema/api/task.json' with { type: 'json' }
import configSchema from '../schema/config.json' with { type: 'json' }
import { verifyCommand } from '../src/cli/commands/verify.ts'
import { SETTINGS } from '../src/config/settings.ts'
import { presentTask } from '../src/wire/present-task.ts'
import { pendingTask, TASK_STATES } from '../src/domain/task/task.ts'
import { CHANGE_KINDS } from '../src/domain/task/task-change.ts'
import { TRANSITIONS } from '../src/domain/attempt/transitions.ts'
import { aTask } from './support/a-task.ts'
import { readCurl } from './support/curl.ts'

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

test('the first task reads back with the members that a task has, in their order', () => {
  const [, shown = ''] = /```json\n(\{\n {4}"message"[^]*?)\n```/.exec(readme) ?? []
  const { task } = JSON.parse(shown) as { task: object }
  expect(Object.keys(task)).toEqual(Object.keys(presentTask(pendingTask(aTask(), { created: 0, now: 0 }), { timeout: 15 })))
})

test('a handler is told of with its defaults, which a task has too, and its limits', () => {
  const limits = table('limit', 'type', 'default', 'means').flatMap(([limit]) => quoted(limit))
  const defaults = quoted(/^The defaults are [^.]+/m.exec(readme)?.[0])
  const fields = Object.keys(handlerSchema.properties).filter((field) => field !== 'name' && field !== 'task_name')
  expect([...defaults, ...limits].sort()).toEqual(fields.sort())
  expect(Object.keys(taskSchema.properties)).toEqual(expect.arrayContaining(defaults))
})

test('the table of an acknowledgement holds the members of its body', () => {
  expect(table('member', 'type', 'means').flatMap(([member]) => quoted(member))).toEqual(Object.keys(ackSchema.properties))
})

test('the table of events holds the kinds of changes', () => {
  expect(table('event', 'when').flatMap(([event]) => quoted(event))).toEqual([...CHANGE_KINDS])
})

function parametersOf(schema: string): string[] {
  return Object.keys((JSON.parse(read(`schema/api/${schema}`)) as { properties: object }).properties)
}

const parameters = new Set(
  readdirSync(new URL('../schema/api', import.meta.url))
    .filter((file) => file.endsWith('-query.json'))
    .flatMap(parametersOf),
)

test('the table of parameters holds the query parameters of the schemas', () => {
  expect(
    table('parameter', 'of', 'means')
      .flatMap(([name]) => quoted(name))
      .sort(),
  ).toEqual([...parameters].sort())
})

/** Method and path, without what stands for a name or a key. */
const served = new Set(
  [...read('src/api/create-app.ts').matchAll(/'(\/[^']*)': \{ ([^}]+) \}/g)].flatMap(([, path = '', methods = '']) =>
    [...methods.matchAll(/(get|put|post|delete): /g)].map(([, method = '']) => `${method.toUpperCase()} ${path.replace('/:target', '')}`),
  ),
)

test('the table of endpoints holds the paths and methods of the API', () => {
  const named = table('method and path', 'does').flatMap(([cell]) =>
    quoted(cell).map((text) => text.replace(/\/<.*$/, '').replace(/(.)\/$/, '$1')),
  )
  expect(served.size).toBeGreaterThan(15)
  expect([...new Set(named)].map((text) => text.replace(/^GET ?$/, 'GET /')).sort()).toEqual([...served].sort())
})

test('every curl line is one that a shell reads as it stands, for an endpoint and parameters that there are', () => {
  const lines = [...readme.matchAll(/^curl .+$|(?<=`)curl [^`]+/gm)].map(([line]) => line)
  expect(lines.length).toBeGreaterThan(50)
  for (const line of lines) {
    const { method, url } = readCurl(line)
    const { host, pathname, searchParams } = new URL(url)
    expect(host, line).toBe('127.0.0.1:6777')
    expect(served, line).toContain(`${method} /${pathname.split('/')[1] ?? ''}`)
    for (const name of searchParams.keys()) expect(parameters, line).toContain(name)
  }
})

test('the table of statuses holds every error code that an answer can have, with its status', () => {
  const source = read('src/api/http/problem.ts')
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
  for (const text of [readme, architecture, read('CONTRIBUTING.md')]) {
    const ofCallme = text.replaceAll(/`npm run [^`]*`/g, '')
    for (const [flag] of ofCallme.matchAll(/(?<![\w-])--[a-z][a-z-]+/g)) expect(flags).toContain(flag)
    for (const [variable] of text.matchAll(/CALLME_[A-Z_]+/g)) expect(variables).toContain(variable)
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
  'The Go callme': {
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
    const section = readme.split(`\n### ${system}\n`)[1]?.split(/\n##+ /)[0] ?? ''
    const theirs = [...section.matchAll(/^\| (.+?) \|/gm)].map(([, cell]) => cell).join('\n')
    for (const word of words.split(/,\s+/)) expect(theirs).toMatch(new RegExp(`(?<![\\w-])${word.replace(/[^\w\s]/g, '\\$&')}(?![\\w-])`))
    const mapped = [...section.matchAll(/^# ((?:GET|PUT|POST|DELETE) [^ ,]+).* → \d{3}\ncurl /gm)].map(([, route]) => route)
    expect([...new Set(mapped)].sort()).toEqual([...routes].sort())
    for (const route of routes) expect(quoted(theirs)).toContain(route)
  })
}
