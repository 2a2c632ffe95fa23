/** Writes down what the users ask for and are told, as it happens. */
import { attemptName } from './attempt-book.ts'
import type { Given, Journal, Operation, Wanted } from './evidence.ts'

export class JournalKeeper {
  readonly #wanted: Record<string, Wanted> = {}
  readonly #operations: Operation[] = []
  readonly #series: Record<string, number> = {}
  readonly #given: Given[] = []
  readonly #acknowledged = new Set<string>()
  readonly #wrongAnswers: string[] = []

  want(name: string, wanted: Wanted): void {
    this.#wanted[name] = wanted
  }

  note(operation: Operation): void {
    this.#operations.push(operation)
  }

  /** A series goes on until it is ended. @param endedAt epoch ms */
  noteSeries(name: string, endedAt = Infinity): void {
    this.#series[name] = endedAt
  }

  noteGiven(given: Given): void {
    this.#given.push(given)
  }

  noteAcknowledged(attempt: { readonly runId: string; readonly attempt: number }): void {
    this.#acknowledged.add(attemptName(attempt))
  }

  noteWrong(what: string): void {
    this.#wrongAnswers.push(what)
  }

  get seriesNames(): string[] {
    return Object.keys(this.#series)
  }

  get journal(): Journal {
    return {
      wanted: this.#wanted,
      operations: this.#operations,
      series: this.#series,
      given: this.#given,
      acknowledged: [...this.#acknowledged],
      wrongAnswers: this.#wrongAnswers,
    }
  }
}
