/** Receivers that break the rules: a call always ends, in bounded time and memory, and says what happened. */
import type { Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import fc from '../support/fast-check.ts'
import { afterEach, describe, expect, it } from 'vitest'
import { httpCall } from '../../src/caller/http-call.ts'
import { aCall } from '../support/a-call.ts'
import { startRawServer, startTlsServer } from '../support/raw-server.ts'
import { startReceiver } from '../support/receiver.ts'

const SHORT_MS = 500
const servers: { close(): Promise<void> }[] = []

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()))
})

async function serve(onRequest: (socket: Socket, packet: Buffer) => void) {
  const server = await startRawServer(onRequest)
  servers.push(server)
  return { ...server, url: `http://${server.host}/path?token=s3cret` }
}

/** Writes `piece` again and again, as fast as it is taken. */
function pour(socket: Socket, piece: string): void {
  while (!socket.destroyed && socket.write(piece));
  if (!socket.destroyed)
    socket.once('drain', () => {
      pour(socket, piece)
    })
}

describe('a receiver that takes its time', () => {
  it('and never answers', async () => {
    const { url } = await serve(() => undefined)
    const result = await httpCall(aCall({ url, timeoutMs: SHORT_MS }))
    expect(result).toMatchObject({ kind: 'unanswered', error: 'no complete answer within 0.5 s (ETIMEDOUT)' })
    expect(result).not.toHaveProperty('status')
  })

  it('and sends its body byte by byte', async () => {
    const { url } = await serve((socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n')
      const drip = setInterval(() => socket.write('x'), 50)
      socket.once('close', () => {
        clearInterval(drip)
      })
    })
    const result = await httpCall(aCall({ url, timeoutMs: SHORT_MS }))
    expect(result).toMatchObject({
      ...{ kind: 'answered', status: 200, body: expect.stringMatching(/^x+$/) },
      error: 'no complete answer within 0.5 s (ETIMEDOUT)',
    })
  })

  it('and sends its headers byte by byte', async () => {
    const { url } = await serve((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nx-long: ')
      const drip = setInterval(() => socket.write('x'), 50)
      socket.once('close', () => {
        clearInterval(drip)
      })
    })
    const result = await httpCall(aCall({ url, timeoutMs: SHORT_MS }))
    expect(result).toMatchObject({ kind: 'answered', status: 200, body: '', error: 'no complete answer within 0.5 s (ETIMEDOUT)' })
  })

  it('and pours out informational responses without end', async () => {
    const { url, closed } = await serve((socket) => {
      pour(socket, 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n'.repeat(100))
    })
    const result = await httpCall(aCall({ url, timeoutMs: SHORT_MS }))
    expect(result).toMatchObject({ kind: 'unanswered', error: 'no complete answer within 0.5 s (ETIMEDOUT)' })
    await closed()
  })
})

describe('a receiver that sends too much', () => {
  it('has its body read no further than needed, and its connection closed', async () => {
    const { url, connections, closed } = await serve((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      pour(socket, 'endless '.repeat(1000))
    })
    const result = await httpCall(aCall({ url }))
    expect(result).toMatchObject({ kind: 'answered', status: 200, body: 'endless '.repeat(128) })
    await closed()
    expect(connections[0]?.bytesWritten).toBeLessThan(50_000_000)
  })

  it('has 1 MB of headers refused', async () => {
    const { url } = await serve((socket) => socket.write(`HTTP/1.1 200 OK\r\nx-large: ${'x'.repeat(1_000_000)}\r\n\r\n`))
    const result = await httpCall(aCall({ url }))
    expect(result).toMatchObject({
      kind: 'answered',
      status: 200,
      error: expect.stringMatching(/^the response headers of 127.0.0.1:\d+ are too large \(HPE_HEADER_OVERFLOW\)$/),
    })
  })

  it.each([
    ['in the same packet', ['HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokay']],
    ['after it closed its side', ['HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nokay']],
    ['with the end of its body', ['HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no', 'kay']],
    ['later', ['HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok', 'ay']],
  ])('counts with what it announced, more of its body %s harms nobody', async (_, packets) => {
    const { url, closed } = await serve((socket) => {
      socket.setNoDelay(true)
      const rest = [...packets]
      const next = (): void => {
        const packet = rest.shift()
        if (packet !== undefined) socket.write(packet, () => setImmediate(next))
      }
      next()
    })
    await expect(httpCall(aCall({ url }))).resolves.toMatchObject({ kind: 'answered', status: 200, body: 'ok' })
    await closed()
  })

  it('has 10 000 informational responses passed over', async () => {
    const { url } = await serve((socket) => {
      socket.write('HTTP/1.1 102 Processing\r\n\r\n'.repeat(10_000))
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone')
    })
    await expect(httpCall(aCall({ url }))).resolves.toMatchObject({ kind: 'answered', status: 200, body: 'done' })
  })

  it('has its compressed body left compressed', async () => {
    const bomb = gzipSync(Buffer.alloc(10_000_000))
    const receiver = await startReceiver({ headers: { 'content-encoding': 'gzip' }, body: bomb })
    servers.push(receiver)
    const result = await httpCall(aCall({ url: receiver.url }))
    expect(result).toMatchObject({ kind: 'answered', body: expect.stringMatching(/^\u001f\uFFFD\u0008/) })
    expect(receiver.requests[0]?.headers).not.toHaveProperty('accept-encoding')
  })
})

describe('a receiver that breaks off', () => {
  it.each<[string, string, (socket: Socket) => void]>([
    ['resets before its answer', 'connection reset by HOST (ECONNRESET)', (socket) => socket.resetAndDestroy()],
    ['closes before its answer', 'connection closed by HOST before an answer (ECONNRESET)', (socket) => socket.end()],
    ['closes within its status', 'connection closed by HOST before an answer (ECONNRESET)', (socket) => socket.end('HTTP/1.1 20')],
  ])('%s', async (_, error, onRequest) => {
    const { url, host } = await serve(onRequest)
    const result = await httpCall(aCall({ url }))
    expect(result).toMatchObject({ kind: 'unanswered', error: error.replace('HOST', host) })
    expect(result).not.toHaveProperty('status')
  })

  it.each<[string, string, (socket: Socket) => void]>([
    ['closes within its headers', 'ECONNRESET', (socket) => socket.end('HTTP/1.1 200 OK\r\nx-he')],
    [
      'resets in the middle of its body',
      'ECONNRESET',
      (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc', () => setImmediate(() => socket.resetAndDestroy())),
    ],
    ['closes before the length it announced', 'ECONNRESET', (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc')],
    ['closes within a chunk', 'ECONNRESET', (socket) => socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc')],
  ])('%s', async (_, code, onRequest) => {
    const { url, host } = await serve(onRequest)
    const result = await httpCall(aCall({ url }))
    expect(result).toMatchObject({ kind: 'answered', status: 200, error: `the response of ${host} was cut short (${code})` })
  })

  it('closes at the end of a body without a length: that is a complete answer', async () => {
    const { url } = await serve((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nabc'))
    await expect(httpCall(aCall({ url }))).resolves.toMatchObject({ kind: 'answered', body: 'abc' })
  })
})

describe('an answer that breaks the rules of HTTP', () => {
  it.each([
    ['a length twice', 'content-length: 2\r\ncontent-length: 2\r\n\r\nok'],
    ['two lengths', 'content-length: 2\r\ncontent-length: 3\r\n\r\nok'],
    ['a length beside chunks', 'content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'],
    ['a space before a colon', 'server : x\r\ncontent-length: 2\r\n\r\nok'],
    ['a folded header', 'x-a: b\r\n c\r\ncontent-length: 2\r\n\r\nok'],
    ['a control character in a header', 'x-a: b\x01c\r\ncontent-length: 2\r\n\r\nok'],
  ])('by %s counts with its status, and says what is wrong', async (_, rest) => {
    const { url } = await serve((socket) => socket.end(`HTTP/1.1 200 OK\r\n${rest}`))
    await expect(httpCall(aCall({ url }))).resolves.toMatchObject({ kind: 'answered', status: 200, error: expect.stringMatching(/\w/) })
  })

  it.each([
    ['bare line feeds', 'HTTP/1.1 200 OK\ncontent-length: 2\n\nok'],
    ['a status in pieces behind others', ['HTTP/1.1 100 Continue\r\n\r', '\nHTTP/1.1 102 x\n\nHT', 'TP/1.1 2', '00 OK\r\n : \r\n\r\n']],
  ])('by %s has its status read', async (_, answer) => {
    const { url } = await serve((socket) => {
      socket.setNoDelay(true)
      const rest = [answer].flat()
      const next = (): void => {
        const packet = rest.shift()
        if (packet === undefined) socket.end()
        else socket.write(packet, () => setImmediate(next))
      }
      next()
    })
    await expect(httpCall(aCall({ url }))).resolves.toMatchObject({ kind: 'answered', status: 200, error: expect.stringMatching(/\w/) })
  })

  it('by 20 KiB of headers, or an unasked 100 before it, is whole', async () => {
    const head = `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nx-a: ${'x'.repeat(20_000)}\r\n`
    const { url } = await serve((socket) => socket.write(`${head}content-length: 2\r\n\r\nok`))
    const result = await httpCall(aCall({ url }))
    expect(result).toMatchObject({ kind: 'answered', status: 200, body: 'ok' })
    expect(result).not.toHaveProperty('error')
  })
})

describe('a receiver that speaks something else', () => {
  it('than HTTP', async () => {
    const { url, host } = await serve((socket) => socket.end('220 mail.test ESMTP\r\n'))
    const error = `${host} did not answer with valid HTTP: Parse Error: Expected HTTP/, RTSP/ or ICE/ (HTTPParserError)`
    await expect(httpCall(aCall({ url }))).resolves.toMatchObject({ kind: 'unanswered', error })
  })

  it('than chunks where it announced chunks', async () => {
    const { url } = await serve((socket) => socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnot a chunk'))
    const result = await httpCall(aCall({ url }))
    expect(result).toMatchObject({ kind: 'answered', status: 200, error: expect.stringContaining('Invalid character in chunk size') })
  })

  it('and switches protocols unasked', async () => {
    const { url, closed } = await serve((socket) =>
      socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: other\r\n\r\nhello'),
    )
    await expect(httpCall(aCall({ url }))).resolves.toMatchObject({ kind: 'answered', status: 101, body: '' })
    await closed()
  })

  it('than TLS on an https URL', async () => {
    const { url, host } = await serve((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    const result = await httpCall(aCall({ url: url.replace('http:', 'https:') }))
    expect(result).toMatchObject({
      kind: 'unanswered',
      error: `no TLS connection to ${host}: wrong version number (ERR_SSL_WRONG_VERSION_NUMBER)`,
    })
  })

  it('over TLS with a certificate that nobody vouches for', async () => {
    const server = await startTlsServer((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n'))
    servers.push(server)
    const result = await httpCall(aCall({ url: `https://${server.host}/` }))
    const error = expect.stringMatching(/^no TLS connection to 127.0.0.1:\d+: self-signed certificate.* \(DEPTH_ZERO_SELF_SIGNED_CERT\)$/)
    expect(result).toMatchObject({ kind: 'unanswered', error })
  })

  it('whatever it writes, the call ends and harms no other', async () => {
    const pieces = [
      'HTTP/1.1 200 OK\r\n',
      'HTTP/1.1 101 x\r\n',
      'HTTP/1.1 100 x\r\n',
      'HTTP/9.9 999 \r\n',
      'content-length: 3\r\n',
      'content-length: -1\r\n',
    ]
    pieces.push(
      'transfer-encoding: chunked\r\n',
      'connection: upgrade\r\nupgrade: x\r\n',
      'connection: close\r\n',
      '\r\n',
      'abc',
      '3\r\nabc\r\n',
      '0\r\n\r\n',
      '\0\xff',
    )
    const anAnswer = fc.array(fc.constantFrom(...pieces), { maxLength: 8 })
    const { url } = await serve((socket, packet) => {
      const answer = decodeURIComponent(/\?(\S*)/.exec(packet.toString())?.[1] ?? '')
      // In two packets, so that something also comes after what the client took for the end.
      socket.write(Buffer.from(answer.slice(0, answer.length / 2), 'latin1'), () =>
        setImmediate(() => socket.end(Buffer.from(answer.slice(answer.length / 2), 'latin1'))),
      )
    })
    await fc.assert(
      fc.asyncProperty(anAnswer, async (answer) => {
        const result = await httpCall(aCall({ url: `${url.split('?')[0]}?${encodeURIComponent(answer.join(''))}` }))
        expect(['answered', 'unanswered']).toContain(result.kind)
        if (result.kind === 'answered' || result.kind === 'unanswered')
          expect(result.error ?? '').not.toContain('no complete answer within')
      }),
      { numRuns: 200 },
    )
  })
})
