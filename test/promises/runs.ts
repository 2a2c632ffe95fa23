/** The promises about the attempts of one run. Simulated worlds hold them against each step, chaos against the evidence at the end. */

/** An attempt or a call, in the order in which they were made. */
export interface Made {
  readonly attempt: number
  /** whether it is known what became of it, so that it uses up a retry */
  readonly isKnown: boolean
  readonly isGood: boolean
}

/** @returns the first attempt that was made a second time; undefined where each was made once */
export function madeTwice<T extends Pick<Made, 'attempt'>>(made: readonly T[]): T | undefined {
  return made.find(({ attempt }, index) => made.findIndex((other) => other.attempt === attempt) < index)
}

/** @returns the first attempt that succeeded though it was not the last; undefined where none did */
export function goodBeforeLast<T extends Made>(made: readonly T[]): T | undefined {
  const last = Math.max(...made.map(({ attempt }) => attempt))
  return made.find(({ attempt, isGood }) => isGood && attempt < last)
}

/** Whether more attempts have a known outcome than the first one and its retries. */
export function exceedsRetry(made: readonly Pick<Made, 'isKnown'>[], retry: number): boolean {
  return made.filter(({ isKnown }) => isKnown).length > 1 + retry
}
