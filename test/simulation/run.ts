/**
 * `npm run simulate -- [--seed N] [--days D] [--only IDS] [--store postgres]`: lets worlds live, from seed N on, until D days have passed
 * in them. Without N the seed is a fresh one. The first world in which a rule does not hold is shown with the shortest history that is found.
 * `--only` has a part of a history happen again. `--store postgres` starts a server; the URL of another one names a user who may create databases.
 */
import { parseArgs } from 'node:util'
import { startPostgresServer } from '../support/postgres-server.ts'
import type { Decision } from './decisions.ts'
import { DAYS_OF_WORLD, historyOf, shrink, simulate } from './simulate.ts'
import type { Outcome, SimulateOptions } from './simulate.ts'

const DAY_MS = 86_400_000
const SHRINK_MS = 120_000

const { values } = parseArgs({
  options: { seed: { type: 'string' }, days: { type: 'string', default: '100' }, only: { type: 'string' }, store: { type: 'string' } },
})
const first = values.seed === undefined ? Date.now() % 1_000_000_000 : Number(values.seed)
const days = Number(values.days)
if (!Number.isSafeInteger(first) || !(days > 0)) {
  console.error('--seed is a whole number, --days how many days are to pass')
  process.exit(2)
}

await using server = values.store === 'postgres' ? await startPostgresServer('fsync=off') : undefined
const postgres = server?.url ?? values.store
const options: SimulateOptions = postgres === undefined ? {} : { postgres }
const store = values.store === undefined ? '' : ` --store ${values.store}`

const startedAt = performance.now()
process.exitCode = values.only === undefined ? await runWorlds() : await runPart(first, values.only.split(',').map(Number))

async function runWorlds(): Promise<number> {
  let lived = 0
  let seed = first
  for (; lived < days * DAY_MS; seed += 1) {
    const outcome = await simulate(seed, options)
    lived += outcome.lived
    if (outcome.violation === undefined) continue
    console.log(`world ${seed}: ${outcome.violation.message}\n`)
    const part = await shrink(seed, outcome.violation.rule, { ...options, ms: SHRINK_MS })
    show(seed, part, await simulate(seed, { ...options, history: part }))
    return 1
  }
  const minutes = (performance.now() - startedAt) / 60_000
  const [passed, rate] = [lived / DAY_MS, lived / DAY_MS / minutes].map(Math.round)
  console.log(`worlds ${first} to ${seed - 1}: every rule held over ${passed ?? 0} days, ${rate ?? 0} days a minute`)
  return 0
}

async function runPart(seed: number, ids: readonly number[]): Promise<number> {
  const part = historyOf(seed).filter(({ id }) => ids.includes(id))
  const outcome = await simulate(seed, { ...options, history: part })
  show(seed, part, outcome)
  return outcome.violation === undefined ? 0 : 1
}

function show(seed: number, part: readonly Decision[], { violation, trace }: Outcome): void {
  console.log(`What the users and misfortunes of world ${seed} do, of ${historyOf(seed).length} things in ${DAYS_OF_WORLD} days:`)
  for (const { id, at, ...action } of part) console.log(`  #${id} after ${(at / 1000).toFixed(3)} s: ${JSON.stringify(action)}`)
  console.log(`\nWhat happens last:\n  ${trace.join('\n  ')}`)
  console.log(`\n${violation?.message ?? 'Every rule holds.'}`)
  console.log(`\nAgain: npm run simulate -- --seed ${seed} --only ${part.map(({ id }) => id).join(',')}${store}`)
}
