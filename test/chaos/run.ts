/** The command line of chaos: its help says what it does. */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { runChaos } from './chaos.ts'
import { planOf } from './plan.ts'
import type { StoreKind } from './plan.ts'
import { describePlan, describeResult } from './report.ts'

const HELP = `npm run chaos -- --minutes M [--seed N] [--store sqlite|postgres|both] [--users N] [--evidence FILE]

Runs real callme processes for M minutes while they are killed, frozen and stopped, disks fill up, databases and receivers go away; then
waits until all that was accepted has ended, and compares what the users, the store, the receiver and "callme verify" say. Exit code 1
when a promise was not kept.

SQLite is one process on one file, PostgreSQL is three on one database; "both" are side by side, each for all of the minutes.
A seed gives the same misfortunes at the same times and the same users, but real processes do not repeat themselves to the millisecond:
the same seed may not come to the same end. --evidence writes all testimony to a file, as JSON.`

const STORES: readonly StoreKind[] = ['sqlite', 'postgres']
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string' },
    store: { type: 'string', default: 'both' },
    users: { type: 'string', default: '4' },
    evidence: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
const [minutes, users] = [Number(values.minutes), Number(values.users)]
const seed = values.seed === undefined ? Date.now() % 1_000_000_000 : Number(values.seed)
const stores = STORES.filter((store) => values.store === store || values.store === 'both')
const isGood = minutes > 0 && Number.isSafeInteger(seed) && Number.isSafeInteger(users) && users > 0 && stores.length > 0

if (values.help) console.log(HELP)
else if (!isGood) {
  console.error(HELP)
  process.exitCode = 2
} else process.exitCode = await run()

async function run(): Promise<number> {
  const ms = minutes * 60_000
  console.log(`again: npm run chaos -- --minutes ${minutes} --seed ${seed} --store ${values.store} --users ${users}`)
  for (const store of stores) console.log(describePlan(store, planOf(seed, store, ms)))
  // Each to its end, so that no process is left behind.
  const runs = await Promise.allSettled(stores.map((store) => runChaos(store, { seed, ms, users })))
  for (const one of runs) console.log(one.status === 'fulfilled' ? `\n${describeResult(one.value)}` : one.reason)
  const results = runs.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  if (values.evidence !== undefined) writeFileSync(values.evidence, JSON.stringify(results, undefined, 1))
  return results.length === stores.length && results.every(({ findings }) => findings.length === 0) ? 0 : 1
}
