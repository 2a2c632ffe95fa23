/** Which minutes the entries of a name may move to: what is stored is read many minutes at a time, for many names at once. */
import { SECONDS_PER_MINUTE } from '../../../domain/time/trigger-time.ts'
import type { Queries } from '../commit/database.ts'

/** The minutes of a name, Unix seconds: `from` inclusive, `to` exclusive. */
export interface Span {
  readonly name: string
  readonly from: number
  readonly to: number
}

const SPANS = 'unnest($1::text[], $2::bigint[], $3::bigint[]) AS s (name, low, high)'
const of = (table: string): string => `
  SELECT t.name, t.trigger_at FROM ${SPANS} JOIN callme.${table} t ON t.name = s.name AND t.trigger_at >= s.low AND t.trigger_at < s.high`
const TAKEN = `${of('tasks')} UNION ALL ${of('finished')}`
/** How many minutes more are read of a name of which all were taken. */
const MORE = 1000

export class FreeMinutes {
  readonly #queries: Queries
  readonly #taken = new Map<string, Set<number>>()
  /** by name, those that are free although they are still stored as taken */
  readonly #left = new Map<string, Set<number>>()
  /** up to where the minutes of each name are known */
  readonly #known = new Map<string, number>()

  constructor(queries: Queries) {
    this.#queries = queries
  }

  async read(spans: readonly Span[]): Promise<void> {
    const params = [spans.map(({ name }) => name), spans.map(({ from }) => from), spans.map(({ to }) => to)]
    for (const { name, to } of spans) this.#known.set(name, to)
    const rows = await this.#queries.query<{ name: string; trigger_at: number }>(TAKEN, params)
    for (const { name, trigger_at: minute } of rows) if (!this.#left.get(name)?.has(minute)) this.take(name, minute)
  }

  /** The first one from `from` on that is free, or `own`. */
  async first(name: string, from: number, own: number): Promise<number> {
    for (let minute = from; ; minute += SECONDS_PER_MINUTE) {
      const known = this.#known.get(name) ?? from
      if (minute >= known) await this.read([{ name, from: minute, to: minute + MORE * SECONDS_PER_MINUTE }])
      if (minute === own || !this.#taken.get(name)?.has(minute)) return minute
    }
  }

  take(name: string, minute: number): void {
    this.#taken.set(name, (this.#taken.get(name) ?? new Set()).add(minute))
  }

  leave(name: string, minute: number): void {
    this.#taken.get(name)?.delete(minute)
    this.#left.set(name, (this.#left.get(name) ?? new Set()).add(minute))
  }
}
