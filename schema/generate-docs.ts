/** Writes the tables of the pages from the schemas; with `--check` it only says which pages are out of date. */
import { readFileSync, writeFileSync } from 'node:fs'
import { PAGES, withTables } from './docs-tables.ts'

for (const page of PAGES) {
  const file = new URL(`../${page}`, import.meta.url)
  const text = readFileSync(file, 'utf8')
  const current = withTables(text)
  if (text === current) continue
  if (process.argv.includes('--check')) {
    console.error(`${page} is stale; run: npx node schema/generate-docs.ts`)
    process.exitCode = 1
  } else {
    writeFileSync(file, current)
  }
}
