import fc from '../support/fast-check.ts'
import { describe, expect, test } from 'vitest'
import { formatTaskKey, parseTaskKey, parseTaskName } from '../../src/domain/task/task-key.ts'

const minutes = fc.integer({ min: 0, max: 16_666_666_666 }).map((minute) => minute * 60)
const names = fc
  .array(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 20 })
  .map((parts) => parts.join('').replaceAll(/[@/\p{Cc}\s]/gu, '-'))

describe('a task key', () => {
  test('reads back as it was written, whatever the name', () => {
    fc.assert(
      fc.property(names, minutes, (name, triggerAt) => {
        expect(parseTaskKey(formatTaskKey({ name, triggerAt }))).toEqual({ ok: true, value: { name, triggerAt } })
      }),
    )
  })

  test('has exactly one "@": any other number of them is refused', () => {
    const parts = fc.array(fc.constantFrom('', 'a', 'b', '60', '1800000000'), { minLength: 1, maxLength: 5 })
    fc.assert(
      fc.property(parts, (texts) => {
        expect(parseTaskKey(texts.join('@')).ok).toBe(texts.length === 2 && /^[ab]|\d/.test(texts[0] ?? '') && /^\d+$/.test(texts[1] ?? ''))
      }),
    )
  })

  test.each([
    ['', 'no name and no time'],
    ['a', 'no time'],
    ['a@', 'an empty time'],
    ['@1800000000', 'an empty name'],
    ['a@b@1800000000', 'two "@", where the origin lost the time'],
    ['a@1800000000@1800000000', 'two times'],
    ['a@1800000000@', 'an "@" at the end'],
    ['a@1800000001', 'not a whole minute'],
    ['a@-60', 'a negative time'],
    ['a@+60', 'a sign'],
    ['a@60.0', 'a fraction'],
    ['a@6e1', 'an exponent'],
    ['a@0x3c', 'a hexadecimal number'],
    ['a@ 60', 'white space before the time'],
    ['a@60\n', 'a line break at the end'],
    ['a@1000000000020', 'more than twelve digits'],
    ['a@tomorrow', 'a word'],
    ['a/b@1800000000', 'a slash in the name'],
    ['a b@1800000000', 'white space in the name'],
    ['a\u0000@1800000000', 'NUL in the name'],
  ])('%j is refused: %s', (text) => {
    const parsed = parseTaskKey(text)
    expect(parsed.ok).toBe(false)
  })

  test('that is refused is answered with what was sent and what would be right', () => {
    expect(parseTaskKey('report@b@1800000000')).toEqual({
      ok: false,
      problem: {
        pointer: '/task_key',
        detail:
          'a task key must be <task_name>@<Unix time on a whole minute>, which is the member "key" of each task that GET /task/<task_name> lists; got "report@b@1800000000"',
      },
    })
    const nearly = parseTaskKey('report@1800000001')
    expect(nearly.ok ? '' : nearly.problem.detail).toBe(
      'a task key must be <task_name>@<Unix time on a whole minute>; the nearest before it is report@1800000000; got "report@1800000001"',
    )
  })
})

describe('a task name', () => {
  test.each(['a', 'A-b_c.d:e', '%41', 'ü', '日本語', '😀', 'a"b\'c', '-', '..', 'ﷺ', 'x'.repeat(200), '😀'.repeat(200)])(
    'may be %j',
    (name) => {
      expect(parseTaskName(name)).toEqual({ ok: true, value: name })
    },
  )

  test.each([
    ['', 'empty'],
    ['x'.repeat(201), 'longer than 200 characters'],
    ['😀'.repeat(201), 'longer than 200 characters beyond the BMP'],
    ['a@b', 'an "@"'],
    ['a/b', 'a slash'],
    ['a b', 'a space'],
    ['a\u00a0b', 'a no-break space'],
    ['a\u2028b', 'a line separator'],
    ['a\tb', 'a tab'],
    ['a\r\nb', 'CRLF'],
    ['a\u0000', 'NUL'],
    ['a\u007f', 'DEL'],
    ['a\u0085', 'a C1 control character'],
    ['a\ud800', 'half a surrogate pair'],
    ['\udc00a', 'the other half'],
  ])('may not be %j: %s', (name) => {
    expect(parseTaskName(name)).toMatchObject({ ok: false, problem: { pointer: '/task_name' } })
  })
})
