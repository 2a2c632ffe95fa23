/** The promise about a series: each task is followed by the next time after its claim. All times are Unix seconds. */

export interface Followed {
  readonly triggerAt: number
  readonly repeatedTo: number
  /** the earliest and the latest time at which it may have been claimed, ended or removed */
  readonly claimed: { readonly from: number; readonly to: number }
}

/** Whether a series neither skips a time nor doubles one. @param nextOf gives the first time of the series after a time */
export function isFollowedByNext({ triggerAt, repeatedTo, claimed }: Followed, nextOf: (after: number) => number): boolean {
  const earliest = nextOf(Math.max(triggerAt, claimed.from))
  const latest = nextOf(Math.max(triggerAt, claimed.to))
  return repeatedTo >= earliest && repeatedTo <= latest
}
