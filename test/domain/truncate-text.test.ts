import fc from '../support/fast-check.ts'
import { expect, it } from 'vitest'
import { KEPT_BYTES, truncateText } from '../../src/domain/attempt/truncate-text.ts'

it('keeps the longest beginning of whole characters that fits', () => {
  const texts = fc.string({ unit: fc.constantFrom('a', 'é', '€', '😀'), minLength: 200, maxLength: 1200, size: 'max' })
  fc.assert(
    fc.property(texts, (text) => {
      const kept = truncateText(Buffer.from(text))
      expect(text.startsWith(kept)).toBe(true)
      const next = [...text.slice(kept.length)][0]
      expect(Buffer.byteLength(kept)).toBeLessThanOrEqual(KEPT_BYTES)
      if (next !== undefined) expect(Buffer.byteLength(kept + next)).toBeGreaterThan(KEPT_BYTES)
    }),
  )
})

it.each([
  ['nothing', [], ''],
  ['NUL', [0x61, 0x00], 'a\uFFFD'],
  ['bytes that are not UTF-8', [0xff, 0x61], '\uFFFDa'],
  ['a character that its sender has cut in two', [0x61, 0xe2, 0x82], 'a\uFFFD'],
])('makes text that any store takes of %s', (_what, bytes, text) => {
  expect(truncateText(Uint8Array.from(bytes))).toBe(text)
})
