/** Calls that never reach a receiver: the reason is told, the secrets of the request are not. */
import { describe, expect, it } from 'vitest'
import { Connections } from '../../src/caller/connections.ts'
import { httpCall } from '../../src/caller/http-call.ts'
import { NameLookup } from '../../src/caller/name-lookup.ts'
import { isShortage } from '../../src/caller/shortage.ts'
import { systemClock } from '../../src/clock.ts'
import { aCall } from '../support/a-call.ts'
import { startRawServer } from '../support/raw-server.ts'

describe('a host that cannot be reached', () => {
  it('because nobody listens there', async () => {
    const { host, close } = await startRawServer(() => undefined)
    await close()
    await expect(httpCall(aCall({ url: `http://${host}/path?token=s3cret` }))).resolves.toMatchObject({
      kind: 'unanswered',
      error: `connection refused by ${host} (ECONNREFUSED)`,
    })
  })

  it('because it has no address', async () => {
    const result = await httpCall(aCall({ url: 'http://nosuch.invalid/path' }))
    expect(result).toMatchObject({
      kind: 'unanswered',
      error: expect.stringMatching(
        /^(no such host: nosuch\.invalid \(ENOTFOUND\)|the name server gave no answer for nosuch\.invalid \(EAI_AGAIN\))$/,
      ),
    })
  })
})

describe('a request that cannot be sent', () => {
  it.each([
    ['a URL that is none', { url: 's3cret' }],
    ['another protocol', { url: 'ftp://127.0.0.1/?s3cret' }],
    ['a line break in a header', { headers: { 'x-key': 's3cret\r\nx-other: 1' } }],
    ['a header beyond Latin-1', { headers: { 'x-key': 's3cret €' } }],
    ['white space in the name of a header', { headers: { 'x key': 's3cret' } }],
    ['a method that is none', { method: 'NO SUCH' }],
    ['a payload with HEAD', { method: 'HEAD', body: 's3cret' }],
    ['a nonsensical timeout', { timeoutMs: Number.NaN }],
  ])('is told apart, without its secrets: %s', async (_, fields) => {
    const { host, connections, close } = await startRawServer((socket) => socket.end())
    const result = await httpCall(aCall({ url: `http://${host}/path?token=s3cret`, ...fields }))
    expect(result).toMatchObject({ kind: 'unanswered', error: expect.stringMatching(/^.{10,500}$/) })
    expect(JSON.stringify(result)).not.toContain('s3cret')
    expect(connections).toHaveLength(0)
    await close()
  })
})

describe('a node that is short of something', () => {
  const failure = (code: string, address = ''): Error => Object.assign(new Error(code), { code, address })

  it('has not made the call', async () => {
    const systemLookup = (_: string, answer: (error: Error, addresses: []) => void): void => {
      answer(failure('EMFILE'), [])
    }
    const connections = new Connections(new NameLookup({ slots: 1, clock: systemClock, systemLookup }))
    const result = await httpCall(aCall({ url: 'http://some.test/' }), systemClock, connections)
    const error = 'the node has too many open connections and files (EMFILE)'
    expect(result).toEqual({ kind: 'not_called', reason: 'shortage', error })
  })

  it.each([
    [failure('ENFILE'), true],
    [failure('EADDRNOTAVAIL', '127.0.0.1'), true],
    [failure('ECONNREFUSED'), false],
    [new AggregateError([failure('EMFILE'), failure('EMFILE')]), true],
    [new AggregateError([failure('EMFILE'), failure('ECONNREFUSED')]), false],
    ['EMFILE', false],
  ])('is told apart from a receiver that fails: %s', (error, isShort) => {
    expect(isShortage(error)).toBe(isShort)
  })
})
