/** The page of figures is what the last runs found, and no more. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { renderReadme } from './bench/support/render.ts'
import { README, readResults } from './bench/support/results.ts'

test('the page of figures is made from the results that stand beside it', () => {
  expect(readFileSync(README, 'utf8')).toBe(renderReadme(readResults()))
})
