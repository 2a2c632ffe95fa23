import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Config } from '../../src/config/load-config.ts'
import type { Log } from '../../src/telemetry/log.ts'
import { start } from '../../src/server.ts'
import type { RunningNode } from '../../src/server.ts'

const CONFIG: Config = {
  listen: { host: '127.0.0.1', port: 0 },
  store: { kind: 'sqlite', path: ':memory:' },
  timeoutMs: 15_000,
  expectedStatus: 200,
  maxInflight: 10,
  maxOpenCalls: 100,
  maxInflightPerHost: undefined,
  nodeName: undefined,
  retentionMs: 0,
  logLevel: 'error',
  keepAliveMs: 75_000,
  shutdownTimeoutMs: 1000,
}
const silent = () => undefined
const LOG: Log = { error: silent, warn: silent, info: silent, debug: silent }

let node: RunningNode
beforeAll(async () => {
  node = await start(CONFIG, LOG)
})
afterAll(() => node.stop())

/** Sends bytes as they are and answers all that came back until the server closed the connection. */
async function exchange(text: string): Promise<string> {
  const socket = connect(Number(new URL(node.address).port), '127.0.0.1')
  let received = ''
  socket.setEncoding('utf8').on('data', (chunk: string) => (received += chunk))
  await once(socket, 'connect')
  socket.write(text, 'latin1')
  await once(socket, 'close')
  return received
}

describe('a request that is not HTTP', () => {
  it.each([
    ['NUL in the path', 'GET /task/a\0b HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'Invalid char in url path'],
    ['garbage', '\x16\x03\x01\x02\r\n\r\n', 400, 'Invalid method'],
    ['an unknown method', 'FETCH / HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'Invalid method'],
    ['a space in the path', 'GET /task/a b HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'could not be read'],
    ['a broken header', 'GET / HTTP/1.1\r\nHost: a\r\nX y: 1\r\n\r\n', 400, 'Invalid header token'],
    ['a broken chunk', 'PUT /task/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', 400, 'chunk size'],
    ['a long header', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431, '16 KiB'],
    ['a long URL', `GET /task/${'x'.repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 431, '16 KiB'],
    ['no Host', 'GET /health HTTP/1.1\r\nConnection: close\r\n\r\n', 400, 'the header Host is required'],
  ])('is refused with a problem document: %s', async (_what, text, status, part) => {
    const [head = '', body = ''] = (await exchange(text)).split('\r\n\r\n')
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(head).toMatch(/^Content-Type: application\/problem\+json$/m)
    expect(head).toMatch(/^Connection: close$/m)
    expect(head).toContain(`Content-Length: ${Buffer.byteLength(body)}`)
    const problem = JSON.parse(body)
    expect(problem).toMatchObject({ type: 'about:blank', status })
    expect(body).toMatch(/^\{"error":[^\n]+\}\n$/)
    expect(problem.error).toContain(part)
  })

  it('needs no Host in HTTP/1.0', async () => {
    expect(await exchange('GET /health HTTP/1.0\r\n\r\n')).toContain('200 OK')
  })
})

describe('a connection', () => {
  it('is kept longer than a load balancer keeps it, and the response says how long', async () => {
    const { headers } = await fetch(`${node.address}/health`)
    expect(headers.get('keep-alive')).toBe('timeout=75')
  })

  it('passes over no header, however many there are', async () => {
    const others = Array.from({ length: 2500 }, () => 'a:\r\n').join('')
    expect(await exchange(`PUT /task/a HTTP/1.1\r\nHost: a\r\n${others}If-Match: "x"\r\nConnection: close\r\n\r\n`)).toContain('If-Match')
  })
})
