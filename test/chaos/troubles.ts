/** Whether something that befell a part explains what was seen. */
import type { Trouble } from './evidence.ts'

/** How much later than the deed its note may be, and the other way round. */
const SLACK_MS = 1000

/**
 * Whether there was such trouble between two times, epoch ms.
 * @param during `node`: of this one or of all; of any where absent
 */
export function overlaps(
  troubles: readonly Trouble[],
  during: { readonly what: readonly Trouble['what'][]; readonly node?: string; readonly from: number; readonly to: number },
): boolean {
  return troubles.some(
    ({ what, node, from, to }) =>
      during.what.includes(what) &&
      (node === undefined || during.node === undefined || node === during.node) &&
      from <= during.to + SLACK_MS &&
      to >= during.from - SLACK_MS,
  )
}
