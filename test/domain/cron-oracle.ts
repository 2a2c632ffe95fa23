/** A second, slow reading of the rules for repeating times: random expressions, and a walk over every minute with what Intl shows at it. */
import fc from '../support/fast-check.ts'

export interface CronExpression {
  readonly text: string
  /** in the order of the fields; undefined stands for `*` */
  readonly fields: readonly (ReadonlySet<number> | undefined)[]
}

const MINUTE_MS = 60_000

function cronFields(min: number, max: number): fc.Arbitrary<{ text: string; values: ReadonlySet<number> | undefined }> {
  const bound = fc.integer({ min, max })
  const steps = fc.integer({ min: 1, max: max - min })
  const range = (low: number, high: number, step: number): number[] =>
    Array.from({ length: high - low + 1 }, (_, i) => low + i).filter((value) => (value - low) % step === 0)
  const item = fc.oneof(
    bound.map((value) => ({ text: String(value), values: [value] })),
    fc.tuple(bound, bound, steps).map(([a, b, step]) => {
      const [low, high] = [Math.min(a, b), Math.max(a, b)]
      return { text: `${low}-${high}/${step}`, values: range(low, high, step) }
    }),
    steps.map((step) => ({ text: `*/${step}`, values: range(min, max, step) })),
  )
  const list = fc.array(item, { minLength: 1, maxLength: 3 }).map((items) => ({
    text: items.map(({ text }) => text).join(','),
    values: new Set(items.flatMap(({ values }) => values)),
  }))
  return fc.oneof(fc.constant({ text: '*', values: undefined }), list)
}

/** Day and month are mostly free, so that something comes on the days that are looked at. */
export const cronExpressions: fc.Arbitrary<CronExpression> = fc
  .tuple(
    cronFields(0, 59),
    cronFields(0, 23),
    fc.oneof({ weight: 3, arbitrary: fc.constant({ text: '*', values: undefined }) }, { weight: 2, arbitrary: cronFields(1, 31) }),
    fc.oneof({ weight: 4, arbitrary: fc.constant({ text: '*', values: undefined }) }, { weight: 1, arbitrary: cronFields(1, 12) }),
    cronFields(0, 6),
  )
  .map((fields) => ({ text: fields.map(({ text }) => text).join(' '), fields: fields.map(({ values }) => values) }))

/**
 * Every minute at which clocks show, for the first time, a time that matches, or jump over one that does.
 * @param from Unix seconds on a whole minute, exclusive
 * @param to inclusive
 */
export function occurrencesByWalking(expression: CronExpression, timezone: string, from: number, to: number): number[] {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: timezone,
    hourCycle: 'h23',
    ...{ year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' },
  })
  const wallTime = (ms: number): number => {
    const [month, day, year, hour, minute, second] = (format.format(ms).match(/\d+/g) ?? []).map(Number)
    return Date.UTC(year ?? 0, (month ?? 0) - 1, day, hour, minute, second)
  }
  const found: number[] = []
  let furthest = -Infinity
  for (let ms = (from - 2 * 86_400) * 1000; ms <= to * 1000; ms += MINUTE_MS) {
    const wall = wallTime(ms)
    if (ms > from * 1000) {
      let passed = Math.floor(furthest / MINUTE_MS + 1) * MINUTE_MS
      while (passed <= wall && !matches(expression, new Date(passed))) passed += MINUTE_MS
      if (passed <= wall) found.push(ms / 1000)
    }
    furthest = Math.max(furthest, wall)
  }
  return found
}

function matches({ fields, text }: CronExpression, wall: Date): boolean {
  const [minute, hour, dayOfMonth, month, dayOfWeek] = fields
  const has = (set: ReadonlySet<number> | undefined, value: number): boolean => set === undefined || set.has(value)
  const onDayOfMonth = has(dayOfMonth, wall.getUTCDate())
  const onDayOfWeek = has(dayOfWeek, wall.getUTCDay())
  const isEither = [2, 4].every((place) => !text.split(' ')[place]?.startsWith('*'))
  const onDay = isEither ? onDayOfMonth || onDayOfWeek : onDayOfMonth && onDayOfWeek
  return has(minute, wall.getUTCMinutes()) && has(hour, wall.getUTCHours()) && has(month, wall.getUTCMonth() + 1) && onDay
}
