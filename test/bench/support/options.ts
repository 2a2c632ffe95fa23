/** The options of a bench: whole numbers with defaults of its own, and `--profile DIR`. */
import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'

/** Reads the command line. `profile` is an absolute folder that exists, or undefined. */
export function readOptions<T extends Readonly<Record<string, number>>>(defaults: T): T & { readonly profile: string | undefined } {
  const names = Object.keys(defaults)
  const options = Object.fromEntries([...names, 'profile'].map((name) => [name, { type: 'string' as const }]))
  const { values } = parseArgs({ options })
  const numbers = names.map((name) => [name, Number(values[name] ?? defaults[name])] as const)
  const bad = numbers.find(([, value]) => !Number.isSafeInteger(value) || value < 1)
  if (bad) throw new Error(`--${bad[0]} must be a whole number above 0; got ${values[bad[0]] ?? ''}`)
  const profile = values['profile'] === undefined ? undefined : resolve(values['profile'])
  if (profile !== undefined) mkdirSync(profile, { recursive: true })
  return { ...(Object.fromEntries(numbers) as T), profile }
}
