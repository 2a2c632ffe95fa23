import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ENDPOINTS } from '../../src/api/endpoints.ts'
import { MINUTE, aTask } from '../support/a-task.ts'
import { openApi } from '../support/open-api.ts'
import type { Api } from '../support/open-api.ts'
import { expectProblem } from '../support/wire.ts'

const METHODS = ['get', 'put', 'post', 'delete', 'patch'] as const
const SCOPES = ['none', 'read', 'work', 'write', 'admin']
/** What stands in a path for each meaning of its last part. */
const TARGETS = { none: '', name: 'a', entry: 'a', handler: 'a', tasks: 'a' }

let api: Api
beforeEach(async () => {
  api = await openApi()
  await api.store.put([aTask({ name: 'a' })], { now: api.clock.now() })
  await api.store.putHandler('a', { callback: 'http://receiver.test/' }, { now: api.clock.now(), force: false })
})
afterEach(() => api.close())

const served = ENDPOINTS.flatMap((endpoint) =>
  endpoint.paths.map((path) => ({ ...endpoint, path, url: path.replace(':target', TARGETS[endpoint.target]) })),
)

describe('the declarations of the endpoints', () => {
  it('give each a name of its own, a scope, and the statuses of its answers', () => {
    const names = ENDPOINTS.map(({ operationId }) => operationId)
    expect(new Set(names).size).toBe(names.length)
    for (const { operationId, scope, answers } of ENDPOINTS) {
      expect(SCOPES, operationId).toContain(scope)
      expect(answers, operationId).toContain(400)
      expect(new Set(answers).size, operationId).toBe(answers.length)
    }
  })

  it('give each path and method to one endpoint', () => {
    const routes = served.map(({ method, path }) => `${method} ${path}`)
    expect(new Set(routes).size).toBe(routes.length)
  })

  it('name a target where the path has one', () => {
    for (const { path, target } of served.filter((endpoint) => endpoint.path.includes(':target'))) expect(target, path).not.toBe('none')
  })

  it('hold the schema of the query, and that of the body where there is one', () => {
    for (const { operationId, query, body } of ENDPOINTS) {
      expect(query, operationId).toHaveProperty('properties.pretty')
      if (typeof body !== 'string')
        expect([body.schema, JSON.parse(body.example)], operationId).toEqual([expect.any(Object), expect.anything()])
    }
  })
})

it.each(served.map((endpoint) => [endpoint.method, endpoint.url, endpoint] as const))(
  '%s %s refuses an unknown parameter, as each endpoint does, with a status that is declared',
  async (method, url, { answers }) => {
    const answer = await api.http[method](`${url}?nonsense=1`)
    expect(expectProblem(answer, 400, '?nonsense')).toContain('unknown query parameter "nonsense"')
    expect(answers).toContain(answer.status)
  },
)

it.each(served.filter(({ operationId }) => operationId !== 'events').map((endpoint) => [endpoint.method, endpoint.url, endpoint] as const))(
  '%s %s answers with a status that is declared',
  async (method, url, { answers }) => {
    expect(answers).toContain((await api.http[method](url)).status)
  },
)

it.each([...new Set(served.map(({ url }) => url))])('%s refuses every method that is not declared, and names the others', async (url) => {
  const declared: string[] = served.filter((endpoint) => endpoint.url === url).map(({ method }) => method)
  for (const method of METHODS.filter((name) => !declared.includes(name))) {
    const answer = await api.http[method](url)
    expectProblem(answer, 405)
    const allowed = answer.headers['allow']?.split(', ')
    expect(allowed).toEqual(expect.arrayContaining([...declared.map((name) => name.toUpperCase()), 'OPTIONS']))
    expect(allowed).toHaveLength(declared.length + (declared.includes('get') ? 2 : 1))
  }
})

it.each([
  ['post', '/run/a?x=1', '?x'],
  ['delete', '/task/a@b?x=1', ''],
  ['get', '/task/a@b?x=1', '/task_key'],
  ['get', `/task/a@${MINUTE}?limit=5`, '?limit'],
  ['post', '/reschedule/a@b?x=1', '/task_key'],
  ['post', '/reschedule/a?name=a@b', '?name'],
  ['post', '/ack/a?x=1', '?x'],
  ['post', '/ack/a@b', '/task_key'],
  ['put', '/handler/a@b?x=1', '?x'],
  ['delete', '/handler/a@b?x=1', ''],
  ['post', '/claim/a@b?x=1', ''],
] as const)('%s %s with a broken body is refused first for %j', async (method, url, pointer) => {
  expectProblem(await api.http[method](url).send('{"x":'), 400, pointer)
})

it.each(['/task/a@b', '/tasks', '/handler/a@b'])(
  'PUT or POST %s is refused for its condition before its target and its body',
  async (url) => {
    const method = url === '/tasks' ? 'post' : 'put'
    expect(expectProblem(await api.http[method](url).set('If-Match', '"1"').send('{'), 400)).toContain('condition')
  },
)
