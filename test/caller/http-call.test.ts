/** What one call sends, and what it makes of a proper answer. */
import { networkInterfaces } from 'node:os'
import tls from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { httpCall } from '../../src/caller/http-call.ts'
import { aCall } from '../support/a-call.ts'
import { CERTIFICATE } from '../support/certificate.ts'
import { startRawServer, startTlsServer } from '../support/raw-server.ts'
import { startReceiver } from '../support/receiver.ts'
import type { Answer } from '../support/receiver.ts'

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
const servers: { close(): Promise<void> }[] = []

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()))
})

async function receiver(answer?: Answer) {
  const server = await startReceiver(answer)
  servers.push(server)
  return server
}

async function rawServer(...parameters: Parameters<typeof startRawServer>) {
  const server = await startRawServer(...parameters)
  servers.push(server)
  return server
}

describe('the request', () => {
  /** The bytes that arrive for a request, from the connection to its answer. */
  async function bytesOf(fields: Parameters<typeof aCall>[0] extends infer Fields ? Omit<Fields, 'url'> : never): Promise<string> {
    let bytes = ''
    const server = await rawServer((socket, packet) => {
      bytes += packet.toString()
      if (bytes.includes('\r\n\r\n') && (fields.body === undefined || bytes.endsWith(fields.body))) socket.write(OK)
    })
    await expect(httpCall(aCall({ url: `http://${server.host}/a/path?q=1`, ...fields }))).resolves.toMatchObject({ kind: 'answered' })
    return bytes.replace(server.host, 'HOST')
  }

  it('is a bare GET where nothing else is asked for', async () => {
    expect(await bytesOf({})).toBe('GET /a/path?q=1 HTTP/1.1\r\nhost: HOST\r\nconnection: keep-alive\r\n\r\n')
  })

  it('carries the headers in their order and none that nobody asked for', async () => {
    const headers = { 'user-agent': 'callme/1', 'x-b': 'two, three', 'x-a': 'ü', 'callme-attempt': '1' }
    const bytes = await bytesOf({ headers })
    expect(bytes).toMatch(
      /^GET [^\r]+\r\nhost: HOST\r\nconnection: keep-alive\r\nuser-agent: callme\/1\r\nx-b: two, three\r\nx-a: [^\r]+\r\ncallme-attempt: 1\r\n\r\n$/,
    )
  })

  it('is a HEAD without a body and without a length', async () => {
    const server = await rawServer((socket, packet) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${packet.length}\r\n\r\n`)
    })
    const result = await httpCall(aCall({ url: `http://${server.host}/`, method: 'HEAD' }))
    expect(result).toMatchObject({ kind: 'answered', status: 200, body: '' })
    expect(server.connections).toHaveLength(1)
  })

  it.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE'])('carries a payload with %s', async (method) => {
    const bytes = await bytesOf({ method, body: '{"a":"ä"}', headers: { 'content-type': 'application/json' } })
    const connection = ['host: HOST', 'connection: keep-alive']
    const lines = [`${method} /a/path?q=1 HTTP/1.1`, ...connection, 'content-type: application/json', 'content-length: 10', '']
    expect(bytes).toBe([...lines, '{"a":"ä"}'].join('\r\n'))
  })

  it.each([
    ['POST', ''],
    ['POST', undefined],
    ['PUT', ''],
  ])('says that a %s with the payload %j has a length of 0', async (method, body) => {
    const bytes = await bytesOf({ method, body })
    expect(bytes.match(/content-length: 0\r\n/gi)).toHaveLength(1)
    expect(bytes).toMatch(/\r\n\r\n$/)
  })

  it('brings a large payload over whole', async () => {
    const server = await receiver()
    const body = 'payload '.repeat(131_072)
    await httpCall(aCall({ url: server.url, method: 'POST', body }))
    expect(server.requests[0]?.body === body).toBe(true)
  })

  it.runIf(
    Object.values(networkInterfaces())
      .flat()
      .some((address) => address?.address === '::1'),
  )('reaches an IPv6 literal', async () => {
    const server = await rawServer((socket) => socket.write(OK), '::1')
    await expect(httpCall(aCall({ url: `http://${server.host}/` }))).resolves.toMatchObject({ kind: 'answered', body: 'ok' })
  })

  it('uses a connection again, until it has been idle for a while; a slow call is not cut by that', async () => {
    const server = await receiver()
    let answerSlow: (() => void) | undefined
    server.answer('/slow', (response) => (answerSlow = () => response.end('at last')))
    const slow = httpCall(aCall({ url: `${server.url}/slow` }))
    await server.waitFor(1)
    await httpCall(aCall({ url: server.url }))
    const idle = new Promise((resolve) => {
      server.answer('/third', (response) => {
        response.socket?.once('close', resolve)
        response.end()
      })
    })
    await httpCall(aCall({ url: `${server.url}/third` }))
    expect(server.requests[2]?.port).toBe(server.requests[1]?.port)
    expect(server.requests[2]?.port).not.toBe(server.requests[0]?.port)
    await idle
    answerSlow?.()
    await expect(slow).resolves.toMatchObject({ kind: 'answered', body: 'at last' })
  })

  it('is not made before it is due, nor at or after its deadline', async () => {
    const server = await rawServer((socket) => socket.write(OK))
    const late = await httpCall(aCall({ url: `http://${server.host}/`, deadline: Date.now() }))
    expect(late).toEqual({ kind: 'not_called', reason: 'late' })
    const early = await httpCall(aCall({ url: `http://${server.host}/`, dueAt: Date.now() + 60_000 }))
    expect(early).toEqual({ kind: 'not_called', reason: 'early' })
    await httpCall(aCall({ url: `http://${server.host}/`, deadline: Date.now() + 60_000, leaseUntil: Date.now() + 60_000 }))
    expect(server.connections).toHaveLength(1)
  })
})

describe('a call that is not tried again', () => {
  it('has a connection of its own, which no other call uses', async () => {
    const server = await receiver()
    const single = aCall({ url: server.url, mayReuseConnection: false })
    for (const call of [aCall({ url: server.url }), single, single, aCall({ url: server.url })]) await httpCall(call)
    const [first, second, third, fourth] = server.requests.map(({ port }) => port)
    expect(new Set([first, second, third]).size).toBe(3)
    expect([second, third]).not.toContain(fourth)
  })
})

describe('a call that finds while it connects', () => {
  it.each([
    ['deadline', 'late'],
    ['leaseUntil', 'lease_over'],
  ])('that its %s has passed sends nothing and was not made', async (limit, reason) => {
    let received = ''
    const server = await rawServer((socket, packet) => {
      received += packet.toString()
      socket.write(OK)
    })
    const realNow = Date.now
    const end = Date.now() + 60_000
    const call = httpCall(aCall({ url: `http://${server.host}/`, [limit]: end }))
    // The clock is read again once the connection stands.
    Date.now = () => end
    try {
      await expect(call).resolves.toEqual({ kind: 'not_called', reason })
    } finally {
      Date.now = realNow
    }
    await server.closed()
    expect(received).toBe('')
  })
})

describe('the answer', () => {
  it('says when the call began and ended', async () => {
    const server = await receiver()
    const before = Date.now()
    const result = await httpCall(aCall({ url: server.url }))
    if (result.kind !== 'answered') throw new Error(JSON.stringify(result))
    expect(result.startedAt).toBeGreaterThanOrEqual(before)
    expect(result.endedAt).toBeGreaterThanOrEqual(result.startedAt)
    expect(result.endedAt).toBeLessThanOrEqual(Date.now())
  })

  it.each([201, 204, 304, 400, 404, 410, 500])('counts with status %d', async (status) => {
    const server = await receiver({ status })
    await expect(httpCall(aCall({ url: server.url }))).resolves.toMatchObject({ kind: 'answered', status, body: '' })
  })

  it('keeps Retry-After', async () => {
    const server = await receiver({ status: 503, headers: { 'retry-after': '120' }, body: 'later' })
    const result = await httpCall(aCall({ url: server.url }))
    expect(result).toMatchObject({ kind: 'answered', status: 503, body: 'later', retryAfter: '120' })
  })

  it('is the redirect itself, which is not followed', async () => {
    const server = await receiver()
    server.answer('/from', { status: 302, headers: { location: `${server.url}/to` }, body: 'over there' })
    const result = await httpCall(aCall({ url: `${server.url}/from` }))
    expect(result).toMatchObject({ kind: 'answered', status: 302, body: 'over there' })
    await httpCall(aCall({ url: `${server.url}/next` }))
    expect(server.requests.map(({ url }) => url)).toEqual(['/from', '/next'])
  })

  it('is one call where a server asks for another attempt', async () => {
    const server = await receiver({ status: 500 })
    await httpCall(aCall({ url: `${server.url}/first` }))
    await httpCall(aCall({ url: `${server.url}/second` }))
    expect(server.requests.map(({ url }) => url)).toEqual(['/first', '/second'])
  })

  it('keeps the first 1 024 bytes, cut on a character boundary', async () => {
    const server = await receiver({ body: `a${'é'.repeat(5000)}` })
    const result = await httpCall(aCall({ url: server.url }))
    expect(result).toMatchObject({ body: `a${'é'.repeat(511)}` })
  })

  it('keeps a text that arrives in pieces of characters', async () => {
    const server = await rawServer((socket) => {
      const bytes = Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nä€üx')
      socket.setNoDelay(true)
      let sent = 0
      const next = (): void => {
        if (sent < bytes.length) socket.write(bytes.subarray(sent, (sent += 1)), () => setImmediate(next))
      }
      next()
    })
    await expect(httpCall(aCall({ url: `http://${server.host}/` }))).resolves.toMatchObject({ body: 'ä€üx' })
  })

  it('turns NUL and what is not UTF-8 into U+FFFD', async () => {
    const server = await receiver({ body: Uint8Array.of(0x41, 0x00, 0xff, 0x42, 0xc3) })
    await expect(httpCall(aCall({ url: server.url }))).resolves.toMatchObject({ body: 'A\uFFFD\uFFFDB\uFFFD' })
  })

  it('comes over TLS from a host with a certificate that is trusted', async () => {
    const server = await startTlsServer((socket) => socket.write(OK))
    servers.push(server)
    const trusted = tls.getCACertificates('default')
    tls.setDefaultCACertificates([CERTIFICATE])
    try {
      const results = [await httpCall(aCall({ url: `https://${server.host}/` })), await httpCall(aCall({ url: `https://${server.host}/` }))]
      expect(results).toMatchObject([{ body: 'ok' }, { body: 'ok' }])
      expect(server.connections).toHaveLength(1)
    } finally {
      tls.setDefaultCACertificates(trusted)
    }
  })

  it('may come before the payload was read, of which no more is sent then', async () => {
    const server = await rawServer((socket) => {
      socket.pause()
      socket.write('HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n')
    })
    const result = await httpCall(aCall({ url: `http://${server.host}/`, method: 'POST', body: 'x'.repeat(20_000_000) }))
    expect(result).toMatchObject({ kind: 'answered', status: 413 })
    server.connections[0]?.resume()
    await server.closed()
    expect(server.connections[0]?.bytesRead).toBeLessThan(20_000_000)
  })
})
