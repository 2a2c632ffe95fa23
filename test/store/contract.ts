/**
 * The promises of the store, as tests that every store must pass: a function of how a store is opened. A test that one store
 * must leave out is named together with the reason.
 */
import { describe, expect, test } from 'vitest'
import { describeAcknowledgement } from './contract/acknowledge.ts'
import { describeRefusedAcknowledgements } from './contract/acknowledge-refusals.ts'
import { describeChangeListeners } from './contract/change-listeners.ts'
import { describeChangeLog } from './contract/change-log.ts'
import { describeChangePages } from './contract/change-pages.ts'
import { describeChanges } from './contract/changes.ts'
import { describeClaims } from './contract/claim.ts'
import { describeLanes } from './contract/claim-lanes.ts'
import { describeRotation } from './contract/claim-rotation.ts'
import { describeClosing } from './contract/close.ts'
import { describeConcurrency } from './contract/concurrency.ts'
import { describeCrowdedNames, describePause } from './contract/crowded.ts'
import { expectCountsToAddUp } from './contract/entries.ts'
import { describeErrorCallbackOutcomes } from './contract/error-callback-outcomes.ts'
import { describeErrorCallbacks } from './contract/error-callbacks.ts'
import { describeHandlerDefaults } from './contract/handler-defaults.ts'
import { describeHandlerPatternLimits } from './contract/handler-pattern-limits.ts'
import { describeHandlerPatternNeeds } from './contract/handler-pattern-needs.ts'
import { describeHandlerPatternPlaces } from './contract/handler-pattern-places.ts'
import { describeHandlerPatternProperty } from './contract/handler-pattern-property.ts'
import { describeHandlerMoments } from './contract/handler-moments.ts'
import { describeHandlerPatterns } from './contract/handler-patterns.ts'
import { describeHandlerWalks } from './contract/handler-walks.ts'
import { describeHandlerWindows } from './contract/handler-windows.ts'
import { describeHandlers } from './contract/handlers.ts'
import { describeLeases } from './contract/leases.ts'
import { describeLedger } from './contract/ledger.ts'
import { describeLimitsProperty } from './contract/limits-property.ts'
import { describeModel } from './contract/model.ts'
import { describeNamesFilter } from './contract/names-filter.ts'
import { describePages } from './contract/pages.ts'
import { describePull } from './contract/pull.ts'
import { describePut } from './contract/put.ts'
import { describeRate } from './contract/rate.ts'
import { describeRecords } from './contract/record.ts'
import { describeRemoval } from './contract/remove.ts'
import { describeReschedule } from './contract/reschedule.ts'
import { describeRescheduleBatches } from './contract/reschedule-batches.ts'
import { describeRun } from './contract/run.ts'
import { describeRunAndRemove } from './contract/run-and-remove.ts'
import { describeSeries } from './contract/series.ts'
import { describeSeriesChanges } from './contract/series-changes.ts'
import { describeSeriesModel } from './contract/series-model.ts'
import { describeSpread } from './contract/spread.ts'
import type { DefineTest, OpenStore } from './contract/define-test.ts'

export interface StoreContract {
  readonly name: string
  /** Opens a store that holds nothing. */
  open(): Promise<OpenStore>
  /** Titles of tests that do not fit this store, and why. */
  readonly skip?: readonly { readonly reason: string; readonly tests: readonly string[] }[]
}

const AREAS: readonly (readonly [string, (define: DefineTest) => void])[] = [
  ['put', describePut],
  ['list', describePages],
  ['a filter by names', describeNamesFilter],
  ['claimDue', describeClaims],
  ['claimDue over lanes', describeLanes],
  ['claimDue, a few at a time', describeRotation],
  ['record', describeRecords],
  ['expire, renew and rescue', describeLeases],
  ['reschedule', describeReschedule],
  ['reschedule in batches', describeRescheduleBatches],
  ['run', describeRun],
  ['remove and prune', describeRemoval],
  ['a handler', describeHandlers],
  ['the defaults of a handler', describeHandlerDefaults],
  ['max_delay of a handler', describeHandlerWindows],
  ['tasks that a store was closed over', describeHandlerWalks],
  ['a handler of many names', describeHandlerPatterns],
  ['a need of a handler of many names', describeHandlerPatternNeeds],
  ['a limit of a handler of many names', describeHandlerPatternLimits],
  ['a place of a handler of many names', describeHandlerPatternPlaces],
  ['a handler that comes or goes', describeHandlerMoments],
  ['concurrency', describeConcurrency],
  ['rate', describeRate],
  ['limits', describeLimitsProperty],
  ['limits of handlers inside each other', describeHandlerPatternProperty],
  ['a pause', describePause],
  ['a name', describeCrowdedNames],
  ['pull', describePull],
  ['an acknowledgement', describeAcknowledgement],
  ['a refused acknowledgement', describeRefusedAcknowledgements],
  ['an error callback', describeErrorCallbacks],
  ['what came of an error callback', describeErrorCallbackOutcomes],
  ['run and remove', describeRunAndRemove],
  ['the ledger', describeLedger],
  ['a series', describeSeries],
  ['a series whose entries are changed', describeSeriesChanges],
  ['a series of two days', describeSeriesModel],
  ['spread', describeSpread],
  ['a change', describeChanges],
  ['changes', describeChangeLog],
  ['changes of a large commit', describeChangePages],
  ['listeners', describeChangeListeners],
  ['close', describeClosing],
]

export function storeContract({ name, open, skip = [] }: StoreContract): void {
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
    for (const [area, describeArea] of AREAS) {
      describe(area, () => {
        describeArea(define)
      })
    }
    describe('a model', () => {
      describeModel(define, open)
    })
    test('skips only tests that there are', () => {
      expect([...reasons.keys()].filter((title) => !titles.has(title))).toEqual([])
    })
  })
}
