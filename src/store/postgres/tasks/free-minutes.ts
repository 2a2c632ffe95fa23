/** The free minutes of names: the taken ones are read many at a time, for many names at once. */
import { SECONDS_PER_MINUTE } from '../../../domain/time/trigger-time.ts'
import type { Queries } from '../commit/database.ts'
import { mustGet } from '../rows/rows.ts'

const SPANS = 'unnest($1::text[], $2::bigint[], $3::bigint[]) AS s (name, low, high)'
const of = (table: string): string => `
  SELECT t.name, t.trigger_at FROM ${SPANS} JOIN callme.${table} t ON t.name = s.name AND t.trigger_at >= s.low AND t.trigger_at < s.high`
const TAKEN = `${of('tasks')} UNION ALL ${of('finished')}`
/** How many more minutes are read of a name with too few free ones. */
const MORE = 1000

/**
 * @param searches of different names; `from` in Unix seconds
 * @returns by name, the first `count` free minutes from `from` on, ascending
 */
export async function freeMinutes(
  queries: Queries,
  searches: readonly { name: string; from: number; count: number }[],
): Promise<Map<string, number[]>> {
  const free = new Map(searches.map(({ name }) => [name, [] as number[]]))
  let open = searches.map((search) => ({ ...search, to: search.from + 2 * search.count * SECONDS_PER_MINUTE }))
  while (open.length > 0) {
    const params = [open.map(({ name }) => name), open.map(({ from }) => from), open.map(({ to }) => to)]
    const rows = await queries.query<{ name: string; trigger_at: number }>(TAKEN, params)
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
