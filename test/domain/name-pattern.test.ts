import fc from '../support/fast-check.ts'
import { describe, expect, it } from 'vitest'
import { isPattern, matchesName, rangeOfNames } from '../../src/domain/task/name-pattern.ts'
import { parseTaskName } from '../../src/domain/task/task-key.ts'

/** The order of a store: the bytes of UTF-8. */
const compare = (one: string, other: string) => Buffer.compare(Buffer.from(one), Buffer.from(other))

function isInRange(pattern: string, name: string): boolean {
  const { first, end } = rangeOfNames(pattern)
  return compare(first, name) <= 0 && compare(name, end) < 0
}

describe('isPattern', () => {
  it.each(['*', 'a*', 'mail.*', '**', 'a*b*', 'ä*', '😀*'])('takes %j, which ends with an asterisk', (name) => {
    expect(isPattern(name)).toBe(true)
  })

  it.each(['', 'a', '*a', 'a*b', '＊', 'a＊', 'a∗', 'a%'])('refuses %j', (name) => {
    expect(isPattern(name)).toBe(false)
  })
})

const MATCHES: [pattern: string, matched: string[], others: string[]][] = [
  ['a', ['a'], ['', 'A', 'a.', 'a*', 'aa', 'b', 'a\u0000']],
  [
    'mail.*',
    ['mail.', 'mail.x', 'mail.*', 'mail.**', 'mail.x.y', 'mail.😀'],
    ['mail', 'mai', 'mailx', 'Mail.x', 'xmail.x', 'mail-x', 'mail/'],
  ],
  ['*', ['a', '*', '😀', '\u{10ffff}'], []],
  ['a**', ['a*', 'a**', 'a*b'], ['a', 'ab', 'a+']],
  ['a*b', ['a*b'], ['ab', 'axb', 'a*', 'a*bc']],
  ['ä*', ['ä', 'äx', 'ä\u0301'], ['a\u0308', 'a', 'å', 'Ä']],
  ['e*', ['e', 'e\u0301', 'ex'], ['é', 'f', 'E']],
  ['日*', ['日', '日本', '日\u{10ffff}'], ['本', '\u{65e4}']],
  ['😀*', ['😀', '😀x', '😀😁'], ['😁', '\u{1f5ff}', '🙀']],
  ['a\uffff*', ['a\uffff', 'a\uffffx'], ['a\u{10000}', 'a\ufffe', 'a']],
  ['a\u{10ffff}*', ['a\u{10ffff}', 'a\u{10ffff}\u{10ffff}', 'a\u{10ffff}a'], ['a', 'a\u{10fffe}', 'b']],
]

describe.each(MATCHES)('%j', (pattern, matched, others) => {
  it('stands for the names that it should, and their range holds no others', () => {
    for (const [names, expected] of [
      [matched, true],
      [others, false],
    ] as const) {
      for (const name of names) expect([name, matchesName(pattern, name), isInRange(pattern, name)]).toEqual([name, expected, expected])
    }
  })
})

describe('rangeOfNames', () => {
  const ofOneLetter = fc.constantFrom('a', 'b', '.', '*', 'ä', 'e', '\u0301', '\uffff', '😀', '\u{10ffff}')
  const names = fc
    .oneof(fc.string({ unit: ofOneLetter, maxLength: 5 }), fc.string({ unit: 'binary', maxLength: 4 }))
    .filter((name) => parseTaskName(name).ok)

  it('holds exactly the names that a pattern matches, of all that a task can have', () => {
    fc.assert(
      fc.property(names, names, fc.boolean(), (start, name, isWide) => {
        const pattern = isWide ? `${start}*` : start
        expect(isInRange(pattern, name)).toBe(matchesName(pattern, name))
        expect(isInRange(pattern, start + name)).toBe(matchesName(pattern, start + name))
        expect(isInRange('*', name)).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })

  it('holds the longest names there are', () => {
    const name = '\u{10ffff}'.repeat(200)
    expect(parseTaskName(name).ok).toBe(true)
    for (const pattern of ['*', '\u{10ffff}*', `${name.slice(2)}*`, name]) expect(isInRange(pattern, name)).toBe(true)
  })
})
