import { describe, expect, it } from 'vitest'
import { loadConfig } from '../src/config/load-config.ts'
import { SETTINGS } from '../src/config/settings.ts'
import { redact } from '../src/config/store-url.ts'
import type { Environment, Flags, SettingName } from '../src/config/settings.ts'
import { CallmeError } from '../src/domain/errors.ts'

function refusal(flags: Flags, env: Environment = {}): string {
  try {
    loadConfig(flags, env)
  } catch (error) {
    if (error instanceof CallmeError && error.code === 'bad_config') return error.message
    throw error
  }
  throw new Error('accepted')
}

describe('settings', () => {
  it('have the documented defaults', () => {
    expect(loadConfig({}, {})).toEqual({
      listen: { host: '127.0.0.1', port: 6777 },
      store: { kind: 'sqlite', path: 'callme.db' },
      timeoutMs: 15_000,
      expectedStatus: 200,
      maxInflight: 256,
      maxOpenCalls: undefined,
      maxInflightPerHost: undefined,
      retentionMs: 30 * 86_400_000,
      logLevel: 'info',
      keepAliveMs: 75_000,
      shutdownTimeoutMs: 20_000,
    })
  })

  it('come from flags before the environment before the defaults', () => {
    const env = { CALLME_TIMEOUT: '20', CALLME_MAX_INFLIGHT: '10', CALLME_MAX_INFLIGHT_PER_HOST: '4', PATH: '/bin' }
    expect(loadConfig({ timeout: '30' }, env)).toMatchObject({
      timeoutMs: 30_000,
      maxInflight: 10,
      maxInflightPerHost: 4,
      logLevel: 'info',
    })
  })

  it.each([
    ['2xx', '2xx'],
    ['204', 204],
    ['200,204,3xx', [200, 204, '3xx']],
  ])('count %s as success where neither task nor handler says so', (text, expected) => {
    expect(loadConfig({ 'expected-http-status': text }, {}).expectedStatus).toEqual(expected)
    expect(refusal({ 'expected-http-status': `${text},` })).toContain('a status from 100 to 599')
  })

  it('say whom to tell of bad ends, and with what body', () => {
    const url = 'https://chat.test/hook'
    expect(loadConfig({ 'on-failure': url }, {}).onFailure).toEqual({ error_callback: url })
    const body = { error_payload: '{ "text":"{error}"}', error_payload_is_json: true }
    expect(loadConfig({ 'on-failure': url, 'on-failure-payload': body.error_payload }, {}).onFailure).toEqual({
      error_callback: url,
      ...body,
    })
    for (const bad of ['chat.test', 'https://me:hush@chat.test/', `${url}/{name}`]) {
      expect(refusal({ 'on-failure': bad })).toMatch(/^--on-failure must be an absolute http or https URL .*; got/)
      expect(refusal({ 'on-failure': bad })).not.toContain('hush')
    }
    for (const bad of ['text', '7', '{"text":"{id}"}', `["${'x'.repeat(16 * 1024)}"]`]) {
      expect(refusal({ 'on-failure': url, 'on-failure-payload': bad })).toMatch(/^--on-failure-payload must be a JSON object or array/)
    }
    expect(refusal({ 'on-failure-payload': '{}' })).toContain('beside --on-failure')
  })

  it('treat an empty variable as not set', () => {
    expect(loadConfig({}, { CALLME_TIMEOUT: '', CALLME_STORE: '' })).toEqual(loadConfig({}, {}))
  })

  it.each([
    ['127.0.0.1:0', { host: '127.0.0.1', port: 0 }],
    ['localhost:7000', { host: 'localhost', port: 7000 }],
    ['127.8.9.1:1', { host: '127.8.9.1', port: 1 }],
    ['[::1]:65535', { host: '::1', port: 65_535 }],
    ['[::ffff:127.0.0.1]:80', { host: '::ffff:127.0.0.1', port: 80 }],
  ])('listen on this machine at %s without being asked for a login', (listen, expected) => {
    expect(loadConfig({ listen }, {}).listen).toEqual(expected)
  })

  it.each([
    [':6777', { host: '', port: 6777 }],
    ['0.0.0.0:6777', { host: '0.0.0.0', port: 6777 }],
    ['[::]:6777', { host: '::', port: 6777 }],
    ['10.0.0.1:6777', { host: '10.0.0.1', port: 6777 }],
    ['my_host.example:6777', { host: 'my_host.example', port: 6777 }],
  ])('listen beyond this machine at %s only with --no-auth', (listen, expected) => {
    expect(refusal({ listen })).toMatch(/--listen .*can be reached from other machines.*--no-auth/)
    expect(refusal({}, { CALLME_LISTEN: listen })).toMatch(/^CALLME_LISTEN /)
    expect(loadConfig({ listen, 'no-auth': true }, {}).listen).toEqual(expected)
    expect(loadConfig({ listen }, { CALLME_NO_AUTH: '1' }).listen).toEqual(expected)
    expect(loadConfig({ listen }, { CALLME_NO_AUTH: 'true' }).listen).toEqual(expected)
  })

  it.each([
    '',
    '6777',
    '127.0.0.1',
    '127.0.0.1:',
    '127.0.0.1:x',
    '127.0.0.1:65536',
    '::1:6777',
    '[127.0.0.1]:1',
    '[]:1',
    '999.1.1.1:1',
    '127.1:1',
    'a b:1',
  ])('refuse to listen at %j and say what an address looks like', (listen) => {
    const message = refusal({ listen, 'no-auth': true })
    expect(message).toContain('--listen must be host:port such as 127.0.0.1:6777')
    expect(message).toContain(`got ${JSON.stringify(listen)}`)
  })

  it.each([
    ['sqlite:a/b.db', 'a/b.db'],
    ['sqlite:/data/callme.db', '/data/callme.db'],
    ['sqlite:///data/callme.db', '///data/callme.db'],
    ['sqlite:C:\\callme.db', 'C:\\callme.db'],
  ])('keep tasks in the file of %s', (store, path) => {
    expect(loadConfig({ store }, {}).store).toEqual({ kind: 'sqlite', path })
  })

  it.each([
    'postgres://me:hush@db:5433/tasks',
    'postgresql://db/tasks?sslmode=require&user=me',
    'postgres://me:hu:sh@1@db/tasks',
    'postgres:///tasks?host=/run/postgresql',
  ])('keep tasks in the database of %s', (url) => {
    expect(loadConfig({ store: url }, {}).store).toEqual({ kind: 'postgres', url })
  })

  it.each(['', 'callme.db', 'sqlite:', 'sqlite://callme.db', 'sqlite::memory:', 'mysql://x', 'postgres:', 'postgres://', 'postgres:db'])(
    'refuse the store %j and say what one looks like',
    (store) => {
      const message = refusal({ store })
      expect(message).toMatch(/^--store must be sqlite: and the path of a file, such as sqlite:.+, or .+ such as postgres:/)
      expect(message).toContain(`got ${JSON.stringify(store)}`)
    },
  )

  it('refuse a PostgreSQL that they cannot read without showing its password', () => {
    const message = refusal({}, { CALLME_STORE: 'postgres://me:hu:sh@1@db:port/tasks' })
    expect(message).toMatch(/^CALLME_STORE must be .*; got "postgres:\/\/me:\*\*\*@db:port\/tasks"$/)
  })

  const wrong: [SettingName, string][] = [
    ['timeout', '0'],
    ['timeout', '1801'],
    ['timeout', '1.5'],
    ['timeout', '15s'],
    ['timeout', ''],
    ['max-inflight', '0'],
    ['max-inflight', '-1'],
    ['max-inflight-per-host', '0'],
    ['max-open-calls', '0'],
    ['max-open-calls', '255'],
    ['retention', '-1'],
    ['retention', 'forever'],
    ['keep-alive', '0'],
    ['keep-alive', '3601'],
    ['shutdown-timeout', '-1'],
    ['shutdown-timeout', 'Infinity'],
    ['log-level', 'verbose'],
    ['log-level', 'INFO'],
  ]
  it.each(wrong)('refuse --%s %j and name the flag, what was sent and what would be right', (name, value) => {
    const expects = SETTINGS.find((setting) => setting.name === name)?.expects ?? ''
    expect(refusal({ [name]: value })).toBe(`--${name} must be ${expects}; got ${JSON.stringify(value)}`)
  })

  it('name the variable where the bad value came from the environment', () => {
    expect(refusal({}, { CALLME_TIMEOUT: 'soon' })).toBe('CALLME_TIMEOUT must be an integer of seconds from 1 to 1800; got "soon"')
    expect(refusal({}, { CALLME_NO_AUTH: 'yes' })).toBe('CALLME_NO_AUTH must be true or false; got "yes"')
  })

  it('refuse every bad value at once, each on its line', () => {
    expect(refusal({ timeout: '0', retention: 'x' }, { CALLME_LOGLEVEL: 'info' }).split('\n')).toHaveLength(3)
  })

  it.each([
    ['CALLME_LISEN', 'CALLME_LISTEN'],
    ['CALLME_MAX_INFLIGHT_PER_HOSTS', 'CALLME_MAX_INFLIGHT_PER_HOST'],
    ['CALLME_LOGLEVEL', 'CALLME_LOG_LEVEL'],
    ['CALLME_timeout', 'CALLME_TIMEOUT'],
    ['CALLME_HOST', 'CALLME_LISTEN'],
    ['CALLME_DATABASE_URL', 'CALLME_STORE'],
  ])('refuse the unknown variable %s and name the nearest one', (name, nearest) => {
    expect(refusal({}, { [name]: '1' })).toBe(`${name} in the environment is not a setting; the nearest one is ${nearest}`)
  })

  it('refuse an unknown variable without a name that is not near', () => {
    expect(refusal({}, { CALLME_COLOUR: '1' })).toMatch(/^CALLME_COLOUR in the environment is not a setting; known are CALLME_LISTEN, /)
  })

  it('refuse an unknown variable even where it is empty', () => {
    expect(refusal({}, { CALLME_LISEN: '' })).toContain('CALLME_LISEN')
  })

  it('pass over the variables that Kubernetes makes of a service called callme', () => {
    const links = {
      CALLME_SERVICE_HOST: '10.0.0.7',
      CALLME_SERVICE_PORT: '6777',
      CALLME_SERVICE_PORT_HTTP: '6777',
      CALLME_PORT: 'tcp://10.0.0.7:6777',
      CALLME_PORT_6777_TCP: 'tcp://10.0.0.7:6777',
      CALLME_PORT_6777_TCP_ADDR: '10.0.0.7',
    }
    expect(loadConfig({}, links)).toEqual(loadConfig({}, {}))
    expect(refusal({}, { CALLME_PORT: '7000' })).toContain('CALLME_PORT in the environment is not a setting')
  })

  it('each have a description, what is expected, and a default that is itself right', () => {
    for (const { name, description, expects, default: value } of SETTINGS) {
      expect(description, name).toMatch(/^[A-Z].*\.$/)
      expect(expects, name).not.toBe('')
      if (value !== undefined && typeof value !== 'boolean') expect(() => loadConfig({ [name]: String(value) }, {})).not.toThrow()
    }
  })
})

describe('redact', () => {
  it.each([
    ['postgres://me:hush@db/x', 'postgres://me:***@db/x'],
    ['postgres://me:hu:sh@1@db/x', 'postgres://me:***@db/x'],
    ['postgres://me@db/x', 'postgres://me@db/x'],
    ['postgres://db/x?user=me&password=hush', 'postgres://db/x?user=me&password=***'],
    ['postgres://db:5432/x?password=hu@sh&sh', 'postgres://db:5432/x?password=***'],
    ['postgres://me:hush@db/x?sslpassword=hush', 'postgres://me:***@db/x?sslpassword=***'],
    ['sqlite:a@b.db', 'sqlite:a@b.db'],
    ['sqlite:///a:b.db', 'sqlite:///a:b.db'],
  ])('shows %s as %s', (text, shown) => {
    expect(redact(text)).toBe(shown)
  })
})
