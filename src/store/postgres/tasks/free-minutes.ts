/** Finds the free minutes of names. One query reads the taken minutes of all names. */
import { SECONDS_PER_MINUTE } from '../../../domain/time/trigger-time.ts'
import type { Queries } from '../commit/database.ts'
import { arraysOf, mustGet } from '../rows/rows.ts'
import type { KeyColumns } from '../rows/rows.ts'

const SPANS = 'unnest($1::text[], $2::bigint[], $3::bigint[]) AS s (name, low, high)'
const of = (table: string): string => `
  SELECT t.name, t.trigger_at FROM ${SPANS} JOIN callme.${table} t ON t.name = s.name AND t.trigger_at >= s.low AND t.trigger_at < s.high`
const TAKEN = `${of('tasks')} UNION ALL ${of('finished')}`
/** This many more minutes are read of a name with too few free ones. */
const MORE = 1000

interface Search {
  readonly name: string
  /** Unix seconds */
  readonly from: number
  readonly count: number
}

/** @returns by name, the first `count` free minutes from `from` on, ascending. @param searches of different names */
export async function freeMinutes(queries: Queries, searches: readonly Search[]): Promise<Map<string, number[]>> {
  const free = new Map(searches.map(({ name }) => [name, [] as number[]]))
  let open = searches.map((search) => ({ ...search, to: search.from + 2 * search.count * SECONDS_PER_MINUTE }))
  while (open.length > 0) {
    const rows = await queries.query<KeyColumns>(TAKEN, arraysOf(open, 'name', 'from', 'to'))
    const taken = Map.groupBy(rows, ({ name }) => name)
    for (const { name, from, to, count } of open) {
      const [minutes, ofName] = [mustGet(free, name), new Set(taken.get(name)?.map((row) => row.trigger_at))]
      for (let minute = from; minute < to && minutes.length < count; minute += SECONDS_PER_MINUTE) {
        if (!ofName.has(minute)) minutes.push(minute)
      }
    }
    open = open.filter(({ name, count }) => mustGet(free, name).length < count)
    open = open.map(({ to, ...search }) => ({ ...search, from: to, to: to + MORE * SECONDS_PER_MINUTE }))
  }
  return free
}
