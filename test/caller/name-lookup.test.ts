/** Name lookups: one for a name at a time, and names whose name servers are silent leave room for others. */
import { describe, expect, it } from 'vitest'
import { Connections } from '../../src/caller/connections.ts'
import { httpCall } from '../../src/caller/http-call.ts'
import { NameLookup, type OnAddresses } from '../../src/caller/name-lookup.ts'
import { systemClock } from '../../src/clock.ts'
import { aCall } from '../support/a-call.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { startReceiver } from '../support/receiver.ts'

const SLOTS = 8
const FOUND = [{ address: '127.0.0.1', family: 4 }]

/** A lookup whose name servers answer when the test says so. */
function aLookup(slots = SLOTS) {
  const clock = new FakeClock('2027-01-15T08:00:00Z')
  const asked: { name: string; answer: OnAddresses }[] = []
  const told: string[] = []
  const names = new NameLookup({ slots, clock, systemLookup: (name, answer) => asked.push({ name, answer }) })
  return {
    clock,
    told,
    /** the names that were asked for so far, in order */
    asked: () => asked.map(({ name }) => name),
    resolve: (name: string) =>
      names.resolve(name, (error, addresses) => told.push(`${name} ${error?.message ?? addresses.map(({ address }) => address).join()}`)),
    expire: (name: string) => {
      names.expire(name)
    },
    /** Answers the oldest open question for a name. */
    answer(name: string, error: Error | null = null, address = '127.0.0.1') {
      const at = asked.findIndex((question) => question.name === name && question.answer !== done)
      const [question] = asked.splice(at, 1, { name, answer: done })
      question?.answer(error, error === null ? [{ address, family: 4 }] : [])
    },
  }
}

const done = (): void => undefined
const silent = (count: number): string[] => Array.from({ length: count }, (_, index) => `silent-${index}`)
const failure = (code: string): Error => Object.assign(new Error(code), { code })

describe('the lookups of one name', () => {
  it('are one, whose answer all share, and the next one comes after half a minute', async () => {
    const { clock, told, asked, resolve, answer } = aLookup()
    for (let call = 0; call < 3; call += 1) resolve('a')
    expect(asked()).toEqual(['a'])
    answer('a')
    resolve('a')
    await clock.advance(29_999)
    resolve('a')
    expect(told).toEqual(Array.from({ length: 5 }, () => 'a 127.0.0.1'))
    await clock.advance(1)
    resolve('a')
    expect(asked()).toEqual(['a', 'a'])
  })

  it('fail for all, and the failure is kept for a second', async () => {
    const { clock, told, asked, resolve, answer } = aLookup()
    resolve('a')
    answer('a', failure('ENOTFOUND'))
    await clock.advance(999)
    resolve('a')
    expect([told, asked()]).toEqual([['a ENOTFOUND', 'a ENOTFOUND'], ['a']])
    await clock.advance(1)
    resolve('a')
    expect(asked()).toEqual(['a', 'a'])
  })

  it('use an older answer while the name server hangs or fails, for five minutes, and none that it has taken back', async () => {
    const { clock, told, resolve, answer } = aLookup()
    resolve('a')
    answer('a')
    await clock.advance(60_000)
    resolve('a')
    await clock.advance(1000)
    resolve('a')
    answer('a', failure('EAI_AGAIN'))
    resolve('a')
    expect(told).toEqual(Array.from({ length: 4 }, () => 'a 127.0.0.1'))
    await clock.advance(239_000)
    resolve('a')
    await clock.advance(2000)
    expect(told).toHaveLength(4)
    answer('a', null, '127.0.0.2')
    await clock.advance(60_000)
    resolve('a')
    answer('a', failure('ENOTFOUND'))
    expect(told.slice(4)).toEqual(['a 127.0.0.2', 'a ENOTFOUND'])
  })

  it('ask anew where the address led nowhere, and not at all where nobody waits any more', () => {
    const { asked, resolve, expire, answer } = aLookup(1)
    resolve('a')
    answer('a')
    expire('a')
    resolve('a')
    const cancel = resolve('b')
    cancel()
    answer('a')
    expect(asked()).toEqual(['a', 'a'])
  })
})

describe('names that have not proven to resolve', () => {
  it('leave slots to names that are new or have resolved before', async () => {
    const { clock, told, asked, resolve, answer } = aLookup()
    resolve('known')
    answer('known')
    await clock.advance(31_000)
    for (const name of silent(4)) resolve(name)
    await clock.advance(1000)
    for (const name of silent(4)) answer(name, failure('EAI_AGAIN'))
    await clock.advance(1000)
    for (const name of silent(8)) resolve(name)
    // Half of the slots are for those that have failed; new ones take what is left but for a quarter.
    expect(asked().slice(5)).toEqual([...silent(4), 'silent-4', 'silent-5'])
    resolve('known')
    expect(asked().slice(11)).toEqual(['known'])
    answer('known')
    expect(told.at(-1)).toBe('known 127.0.0.1')
  })

  it('do not hold up calls to others, and their calls say that the name server gave no answer', async () => {
    const receiver = await startReceiver()
    const port = new URL(receiver.url).port
    const systemLookup = (name: string, answer: OnAddresses): void => void (name.startsWith('healthy') && setImmediate(answer, null, FOUND))
    const connections = new Connections(new NameLookup({ slots: 15, clock: systemClock, systemLookup }))
    const call = (host: string, timeoutMs: number) =>
      httpCall(aCall({ url: `http://${host}:${port}/`, timeoutMs }), systemClock, connections)
    const open = Array.from({ length: 80 }, (_, index) => call(`silent-${index % 10}`, 500))
    const healthy = await Promise.all(Array.from({ length: 20 }, (_, index) => call(`healthy-${index}`, 10_000)))
    expect(healthy.map(({ kind }) => kind)).toEqual(Array.from({ length: 20 }, () => 'answered'))
    for (const result of await Promise.all(open)) {
      expect(result).toMatchObject({
        kind: 'unanswered',
        error: expect.stringMatching(/^the name server gave no answer for silent-\d:\d+ within 0.5 s/),
      })
    }
    await receiver.close()
  })
})
