/** A minute of chaos on each store, side by side, from a seed that nobody has seen before. */
import { expect, it } from 'vitest'
import { runChaos } from './chaos.ts'
import { describePlan, describeResult } from './report.ts'

const MINUTES = 1
/** Few, because other tests run beside this one. */
const USERS = 2
/** A minute of chaos, what was lost with its node just before its end, and a machine that is busy. */
const TIMEOUT_MS = 600_000

const seed = Date.now() % 1_000_000_000

it.concurrent.each(['sqlite', 'postgres'] as const)(
  'on %s every promise is kept, whatever befalls the processes',
  async (store) => {
    const again = `npm run chaos -- --minutes ${MINUTES} --seed ${seed} --store ${store} --users ${USERS}`
    console.info(again)
    const result = await runChaos(store, { seed, ms: MINUTES * 60_000, users: USERS })
    if (result.findings.length > 0) expect.fail([again, describePlan(store, result.plan), describeResult(result)].join('\n'))
    expect(result.evidence.calls.length).toBeGreaterThan(0)
  },
  TIMEOUT_MS,
)
