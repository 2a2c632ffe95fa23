/** `GET /preview`: the next times of a repeating task. */
import previewQuery from '../../../schema/api/preview-query.json' with { type: 'json' }
import { badRequest } from '../../domain/errors.ts'
import { nextOccurrence, parseRecurrence, type Recurrence } from '../../domain/time/recurrence.ts'
import { formatLocalTime } from '../../domain/time/time-zone.ts'
import type { PreviewQuery } from '../../wire/bodies.ts'
import { compileCheck } from '../../wire/validate.ts'
import { endpoint } from '../endpoint.ts'

const DEFAULT_COUNT = 10

export const getPreview = endpoint(
  { operationId: 'preview', method: 'get', paths: ['/preview'], target: 'none', scope: 'read', answers: [200] },
  { query: compileCheck<PreviewQuery>(previewQuery, 'query'), body: 'ignored' },
  ({ clock }) =>
    ({ query }) => {
      const recurrence = readRecurrence(query)
      const occurrences: ReturnType<typeof presentOccurrence>[] = []
      const count = Number(query.count ?? DEFAULT_COUNT)
      let at = nextOccurrence(recurrence, clock.now() / 1000)
      while (at !== undefined && occurrences.length < count) {
        occurrences.push(presentOccurrence(recurrence, at))
        at = nextOccurrence(recurrence, at)
      }
      return { status: 200, body: { repeat: recurrence.repeat, timezone: recurrence.timezone, occurrences } }
    },
)

/** In an expression a `+` is a space, as in a form. In the name of a zone it is itself. */
function readRecurrence({ repeat, timezone }: PreviewQuery): Recurrence {
  const parsed = parseRecurrence(repeat.replaceAll('+', ' '), timezone)
  if (parsed.ok) return parsed.value
  const { pointer, detail } = parsed.problem
  throw badRequest({ pointer: pointer.replace('/', '?'), detail })
}

/** `trigger_at` is Unix seconds, the others are RFC 3339: `trigger_time` in UTC, `local_time` with the offset of the zone at that time. */
function presentOccurrence({ timezone }: Recurrence, at: number) {
  return { trigger_at: String(at), trigger_time: new Date(at * 1000).toISOString(), local_time: formatLocalTime(timezone, at) }
}
