/**
 * The promises of the store, as tests that every store must pass: a function of how a store is opened. Each file of the folder
 * `contract` is one area of them. A test that one store must leave out is named together with the reason.
 */
import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { Area } from './contract/support/area.ts'
import type { DefineTest, OpenStore } from './contract/support/area.ts'
import { expectCountsToAddUp } from './contract/support/tasks.ts'

export interface StoreContract {
  readonly name: string
  /** Opens a store that holds nothing. */
  open(): Promise<OpenStore>
  /** Titles of tests that do not fit this store, and why. */
  readonly skip?: readonly { readonly reason: string; readonly tests: readonly string[] }[]
  /** the first or the second half of the areas; all of them where absent */
  readonly half?: 1 | 2
}

const FOLDER = new URL('contract/', import.meta.url)
const AREAS = await Promise.all(
  readdirSync(FOLDER, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => readArea(name)),
)

export function storeContract({ name, open, skip = [], half }: StoreContract): void {
  const reasons = new Map(skip.flatMap(({ reason, tests }) => tests.map((title) => [title, reason])))
  const titles = new Set<string>()
  const define: DefineTest = (title, body) => {
    titles.add(title)
    const reason = reasons.get(title)
    test(title, async (context) => {
      if (reason !== undefined) context.skip(reason)
      const opened = await open()
      try {
        await body(opened)
        await expectCountsToAddUp(opened.store)
      } finally {
        await opened.dispose()
      }
    })
  }
  describe(`the ${name} store`, () => {
    for (const [index, area] of AREAS.entries()) {
      // Of the other half only the titles are of interest here.
      if (half !== undefined && index % 2 !== half - 1) area.define((title) => titles.add(title), open)
      else
        describe(area.name, () => {
          area.define(define, open)
        })
    }
    test('skips only tests that there are', () => {
      expect([...reasons.keys()].filter((title) => !titles.has(title))).toEqual([])
    })
  })
}

/** @throws Error where a file of the folder is no area, so that no test is left out in silence */
async function readArea(file: string): Promise<Area> {
  const { default: area } = (await import(new URL(file, FOLDER).href)) as { default?: unknown }
  if (area instanceof Area) return area
  throw new Error(`${file} has no area of the contract as its default export; what areas share belongs into the folder "support"`)
}
