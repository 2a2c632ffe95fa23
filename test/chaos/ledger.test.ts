/** The ledger of a run against the entries: content where both say the same, and not where either says something else. */
import { expect, it } from 'vitest'
import type { LedgerReport } from '../../src/verify/verify.ts'
import { checkLedger } from './ledger.ts'
import { soundEvidence } from './sound-evidence.ts'

const SOUND: LedgerReport = {
  ...{ ok: true, from: null, to: null, at: '' },
  ...{ due: 11, on_time: 10, early: 0, late: 0, skipped: 0, failed: 1, removed: 0, waiting: 0, missed: 0, not_due: 0, lost_attempts: 1 },
  reasons: { skipped: {}, failed: {} },
  lateness: { attempts: 0, p50: 0, p99: 0, max: 0, over_1s: 0, over_10s: 0, over_60s: 0 },
  broken: { missed: 0, doubled: 0, late: 0, early: 0 },
  breaches: [],
}

it('finds nothing where both say the same', () => {
  expect(checkLedger(SOUND, soundEvidence().entries)).toEqual([])
})

it.each([
  ['fewer successful runs', { on_time: 9 }],
  ['a skipped run', { skipped: 1 }],
  ['no failed run', { failed: 0 }],
  ['a waiting run', { waiting: 1 }],
  ['no lost attempt', { lost_attempts: 0 }],
  ['a doubled call', { breaches: [{ promise: 'doubled', task: 'good@0', run_id: 'run of good', detail: 'attempt 2' }] }],
] satisfies [string, Partial<LedgerReport>][])('finds it where the ledger tells of %s', (_what, tampered) => {
  expect(checkLedger({ ...SOUND, ...tampered }, soundEvidence().entries)).toHaveLength(1)
})
