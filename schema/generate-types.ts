/** Writes the TypeScript types of the API's schemas to `src/wire/bodies.ts`; with `--check` it only says whether that file is up to date. */
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { compile } from 'json-schema-to-typescript'
import type { JSONSchema } from 'json-schema-to-typescript'
import { format } from 'prettier'

const SCHEMAS = [
  'task',
  'reschedule',
  'list-query',
  'reschedule-query',
  'delete-query',
  'patch-query',
  'plain-query',
  'handler',
  'handler-query',
  'handler-list-query',
  'lateness-query',
  'preview-query',
  'ack',
  'claim-query',
  'events-query',
]
const HEADER = '/** The types of what clients send. Generated from schema/api by schema/generate-types.ts: do not edit. */\n'

const schemaFolder = new URL('api/', import.meta.url)
const typesFile = new URL('../src/wire/bodies.ts', import.meta.url)

async function generate(name: string): Promise<string> {
  const schema = JSON.parse(await readFile(new URL(`${name}.json`, schemaFolder), 'utf8')) as JSONSchema & { title: string }
  const types = await compile(schema, schema.title, {
    cwd: fileURLToPath(schemaFolder),
    bannerComment: '',
    declareExternallyReferenced: true,
    ignoreMinAndMaxItems: true,
    format: false,
  })
  // The schemas say what each field means. Here their words would stand a second time.
  const shapes = types.replace(/^ *\/\*\*[^]*?\*\/\n/gm, '').replace(/\{\s+(\[k: string\]: \w+)\s+\}/g, '{ $1 }')
  return format(shapes, { parser: 'typescript', semi: false, singleQuote: true, printWidth: 140 })
}

const types = await Promise.all(SCHEMAS.map(generate))
const generated = [HEADER, ...types.map((text) => `${text.trim()}\n`)].join('\n')
if (process.argv.includes('--check')) {
  const isCurrent = (await readFile(typesFile, 'utf8')) === generated
  if (!isCurrent) console.error('src/wire/bodies.ts is stale; run: npx node schema/generate-types.ts')
  process.exitCode = isCurrent ? 0 : 1
} else {
  await writeFile(typesFile, generated)
}
