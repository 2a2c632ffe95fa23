/** `GET /preview`: when a repeating task would run, from now on. */
import type { RequestHandler } from 'express'
import previewQuery from '../../../schema/api/preview-query.json' with { type: 'json' }
import { nextOccurrence, parseRecurrence } from '../../domain/time/recurrence.ts'
import type { Recurrence } from '../../domain/time/recurrence.ts'
import { formatLocalTime } from '../../domain/time/time-zone.ts'
import type { PreviewQuery } from '../../wire/bodies.ts'
import type { AppOptions } from '../app-options.ts'
import { badRequest } from '../../domain/errors.ts'
import { readQuery } from '../http/read-query.ts'
import { sendJson } from '../http/respond.ts'
import { compileCheck } from '../../wire/validate.ts'

const DEFAULT_COUNT = 10

const checkPreviewQuery = compileCheck<PreviewQuery>(previewQuery, 'query')

interface WireOccurrence {
  /** Unix seconds */
  readonly trigger_at: string
  /** RFC 3339, UTC */
  readonly trigger_time: string
  /** RFC 3339, with the offset of the zone at that time */
  readonly local_time: string
}

export function getPreview({ clock }: AppOptions): RequestHandler {
  return (req, res) => {
    const query = readQuery<PreviewQuery>(req, checkPreviewQuery)
    const recurrence = readRecurrence(query)
    const occurrences: WireOccurrence[] = []
    const count = Number(query.count ?? DEFAULT_COUNT)
    let at = nextOccurrence(recurrence, clock.now() / 1000)
    while (at !== undefined && occurrences.length < count) {
      occurrences.push(presentOccurrence(recurrence, at))
      at = nextOccurrence(recurrence, at)
    }
    sendJson(req, res, 200, { repeat: recurrence.repeat, timezone: recurrence.timezone, occurrences })
  }
}

/** A `+` in an expression is a space as in a form, because spaces are what it is made of; the name of a zone holds a real one. */
function readRecurrence({ repeat, timezone }: PreviewQuery): Recurrence {
  const parsed = parseRecurrence(repeat.replaceAll('+', ' '), timezone)
  if (parsed.ok) return parsed.value
  const { pointer, detail } = parsed.problem
  throw badRequest({ pointer: pointer.replace('/', '?'), detail })
}

function presentOccurrence({ timezone }: Recurrence, at: number): WireOccurrence {
  return {
    trigger_at: String(at),
    trigger_time: new Date(at * 1000).toISOString(),
    local_time: formatLocalTime(timezone, at),
  }
}
