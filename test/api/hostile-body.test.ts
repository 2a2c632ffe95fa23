import { once } from 'node:events'
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openApi } from '../support/open-api.ts'
import type { Api } from '../support/open-api.ts'
import { expectProblem } from '../support/wire.ts'

const GOOD = '{"trigger_at":"+6h","callback":"http://receiver.test/run"}'
const DEEP = 100_000

let api: Api
beforeEach(async () => {
  api = await openApi()
})
afterEach(async () => {
  expect((await api.http.get('/health')).status).toBe(200)
  expect(api.logged.filter(({ event }) => event === 'request.failed')).toEqual([])
  await api.close()
})

const stored = async () => (await api.store.list({}, { limit: 100 })).tasks.length
const put = (body: string, type = 'application/json') => api.http.put('/task/a').set('Content-Type', type).send(body)
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
const nestedObject = (depth: number) => '{"a":'.repeat(depth) + '1' + '}'.repeat(depth)
const withField = (field: string, value: string) =>
  `{"trigger_at":"+6h","callback":"http://receiver.test/run",${JSON.stringify(field)}:${value}}`

describe('a request body', () => {
  it.each([
    'application/json',
    'application/x-www-form-urlencoded',
    'text/plain',
    'multipart/form-data',
    ';;;=',
    'x',
    'application/json; charset=UTF-8',
  ])('is read as JSON with the Content-Type %s', async (type) => {
    expect((await api.http.put('/task/a').set('Content-Type', type).serialize(String).send(GOOD)).status).toBe(201)
  })

  it.each(['iso-8859-1', '"utf-16"', 'nonsense'])('is refused in the charset %s', async (charset) => {
    const answer = await api.http.put('/task/a').set('Content-Type', `application/json; charset=${charset}`).serialize(String).send(GOOD)
    expect(expectProblem(answer, 415)).toContain('send the body as UTF-8')
  })

  it.each([
    ['{', 'Expected'],
    ['{"trigger_at":"+6h",}', 'double-quoted'],
    ["{'trigger_at':'+6h'}", 'Expected'],
    ['trigger_at=%2B6h', 'Unexpected token'],
    ['{"trigger_at":"+6h"} trailing', 'Unexpected'],
    ['{"a":"\\x"}', 'Bad escape'],
    ['{"a":"', 'Unterminated'],
    ['"\\"', 'Unterminated'],
    ['\u0000', 'Unexpected token'],
    [']]]]', 'Unexpected token'],
  ])('is refused when it is broken like %j, with what is wrong and an example', async (body, reason) => {
    const sentence = expectProblem(await put(body, 'text/plain'), 400, '')
    expect(sentence).toContain(reason)
    expect(sentence).toContain('the body must be JSON such as {"trigger_at":"+6h"')
  })

  it.each(['12345678901234567890', '-9007199254740993', '1e400', '-1e400', '1e-400', `1${'0'.repeat(400)}`])(
    'is refused when it holds the number %s, which would change',
    async (number) => {
      const shown = number.length > 60 ? `${number.slice(0, 60)}…` : number
      const sentence = `the body holds the number ${shown}, which JSON readers cannot keep exactly; send it as a string`
      expect(expectProblem(await put(withField('headers', `{"a":[1,${number}]}`)), 400, '')).toBe(sentence)
      expect(expectProblem(await api.http.post('/reschedule/').send(`{"trigger_at":${number}}`), 400, '')).toBe(sentence)
      expect(await stored()).toBe(0)
    },
  )

  it('may hold numbers that stay what they are, and any digits in strings', async () => {
    const payload =
      '[9007199254740992,-9007199254740991,100000000000000000000,1e22,0e999,0.30000000000000004,1.5e-7,"12345678901234567890","1e400"]'
    expect((await put(withField('payload', payload))).status).toBe(201)
    expect((await api.store.list({}, { limit: 1 })).tasks[0]?.definition.payload).toBe(payload)
  })

  it('is an empty object when it is empty', async () => {
    for (const answer of [await api.http.put('/task/a'), await put(''), await put(' \n')]) {
      expect(expectProblem(answer, 400, '/trigger_at')).toContain('trigger_at is required')
    }
  })

  it.each([
    ['alone', nested(DEEP)],
    ['alone and open', '['.repeat(DEEP)],
    ['as objects', nestedObject(DEEP)],
    ['as payload', withField('payload', nested(DEEP))],
    ['as payload of objects', withField('payload', nestedObject(DEEP))],
    ['as an unknown field', withField('x', nested(DEEP))],
    ['as a header', withField('headers', `{"x-a":${nested(DEEP)}}`)],
    ['as headers', withField('headers', nestedObject(DEEP))],
    ['as an expected status', withField('expected_http_status', nested(DEEP))],
    ['behind a string with a quote', withField('x', `["\\"[\\\\",${nested(DEEP)}]`)],
  ])('is refused with 100 000 nested brackets %s', async (_where, body) => {
    expect(expectProblem(await put(body), 400, '')).toContain('a payload may be nested at most 100')
    expect(await stored()).toBe(0)
  })

  it.each(['payload', 'unknown', 'headers', 'trigger_at'])('is refused where %s is nested 101 deep', async (field) => {
    expect(expectProblem(await put(withField(field, nested(101))), 400, `/${field}`)).toContain(
      `${field} must be nested at most 100 levels deep`,
    )
  })

  it('may hold a payload that is nested 100 deep, and any number of brackets in strings or side by side', async () => {
    expect((await put(withField('payload', nested(100)))).status).toBe(201)
    expect((await put(withField('payload', nestedObject(100)))).status).toBe(200)
    expect((await put(withField('payload', JSON.stringify('["\\{['.repeat(10_000))))).status).toBe(200)
    expect((await put(withField('payload', `[${'[],'.repeat(10_000)}{}]`))).status).toBe(200)
  })

  it('is refused above 1 MiB and taken just below it', async () => {
    const padding = 2 ** 20 - withField('payload', '""').length
    expect((await put(withField('payload', `"${'x'.repeat(padding)}"`))).status).toBe(201)
    expect(expectProblem(await put(withField('payload', `"${'x'.repeat(padding + 1)}"`)), 413)).toContain('1 MiB')
    expect(await stored()).toBe(1)
  })

  it('may be compressed, and is measured after decompression', async () => {
    const send = (bytes: Buffer) =>
      api.http
        .put('/task/a')
        .set('Content-Encoding', 'gzip')
        .set('Content-Type', 'application/json')
        .serialize((body: Buffer) => body as never)
        .send(bytes)
    expect((await send(gzipSync(GOOD))).status).toBe(201)
    expectProblem(await send(gzipSync(Buffer.alloc(50 * 2 ** 20, ' '))), 413)
    expect(expectProblem(await send(Buffer.from('no gzip')), 400, '')).toContain('could not be read')
  })

  it.each(['compress', 'nonsense', 'gzip, br'])('is refused in the encoding %s', async (encoding) => {
    expect(expectProblem(await api.http.put('/task/a').set('Content-Encoding', encoding).send(GOOD), 415)).toContain(
      'gzip, deflate, br or zstd',
    )
  })

  it('is refused when it is not UTF-8, and may begin with a byte order mark', async () => {
    const send = (bytes: Buffer) =>
      api.http
        .put('/task/a')
        .set('Content-Type', 'application/json')
        .serialize((body: Buffer) => body as never)
        .send(bytes)
    expect(expectProblem(await send(Buffer.from(withField('payload', '"é"'), 'latin1')), 400, '')).toContain('must be UTF-8')
    expect((await send(Buffer.from(`\uFEFF${GOOD}`))).status).toBe(201)
  })
})

describe('a connection', () => {
  /** Sends bytes as they are and answers all that came back until the server closed the connection, or `end` closed it. */
  async function exchange(text: string, end: 'half-close' | 'reset'): Promise<string> {
    const socket = connect(api.port, '127.0.0.1')
    let received = ''
    socket.setEncoding('latin1').on('data', (chunk: string) => (received += chunk))
    await once(socket, 'connect')
    await new Promise((resolve) => socket.write(text, resolve))
    if (end === 'reset') socket.resetAndDestroy()
    else socket.end()
    if (!socket.closed) await once(socket, 'close')
    return received
  }

  const head = (length: number | string) => `PUT /task/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${length}\r\n\r\n`

  it('that is cut in the middle of a body stores nothing', async () => {
    await exchange(head(GOOD.length + 50) + GOOD, 'reset')
    await exchange(head(GOOD.length + 50) + GOOD, 'half-close')
    expect(await stored()).toBe(0)
  })

  it('whose Content-Length is too small is read only that far', async () => {
    expect(await exchange(head(20) + GOOD, 'half-close')).toContain('400 Bad Request')
    expect(await stored()).toBe(0)
  })

  it.each(['-1', 'ten', '1e3', '5, 6'])('whose Content-Length is %s is refused', async (length) => {
    expect(await exchange(head(length) + GOOD, 'half-close')).toContain('400 Bad Request')
    expect(await stored()).toBe(0)
  })

  it('that has both lengths, a fixed one and chunks, is refused', async () => {
    const smuggled = `PUT /task/a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${head(GOOD.length)}${GOOD}`
    expect(await exchange(smuggled, 'half-close')).toContain('400 Bad Request')
    expect(await stored()).toBe(0)
  })

  it('may send its body in chunks', async () => {
    const chunked = `PUT /task/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n${GOOD.length.toString(16)}\r\n${GOOD}\r\n0\r\n\r\n`
    expect(await exchange(chunked, 'half-close')).toContain('201 Created')
  })
})
