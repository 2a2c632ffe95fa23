/** Prints what a bench measured beside its yardstick: medians with their range over the rounds, the ratio, and whether the aim was reached. */

export interface Row {
  readonly figure: string
  readonly unit: string
  /** one value for each round */
  readonly values: readonly number[]
  readonly yardstick?: readonly number[]
  readonly reach?: Reach
}

export interface Reach {
  /** `ratio` and `difference` are those of the medians to the yardstick's; `lowest` and `highest` are over all rounds */
  readonly of: 'median' | 'ratio' | 'difference' | 'lowest' | 'highest'
  readonly is: 'at least' | 'at most'
  readonly bound: number
}

const HEAD = ['figure', 'callme', 'yardstick', 'ratio', 'reach', 'reached']

/** @param yardstick what the second column stands for */
export function printTable(title: string, yardstick: string, rows: readonly Row[]): void {
  const lines = [HEAD, ...rows.map(cellsOf)]
  const widths = HEAD.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  console.log(`\n${title}\nyardstick: ${yardstick}`)
  for (const line of lines)
    console.log(
      `  ${line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd()}`,
    )
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5)
}

/** @param fraction from 0 (the lowest) to 1 (the highest) */
export function percentile(values: ArrayLike<number>, fraction: number): number {
  const sorted = Float64Array.from(values).sort()
  if (sorted.length === 0) return Number.NaN
  const position = fraction * (sorted.length - 1)
  const [below = 0, above = 0] = [sorted[Math.floor(position)], sorted[Math.ceil(position)]]
  return below + (above - below) * (position % 1)
}

function cellsOf(row: Row): string[] {
  const { figure, unit, values, yardstick, reach } = row
  return [
    `${figure} (${unit})`,
    spread(values),
    yardstick ? spread(yardstick) : '-',
    yardstick && median(yardstick) !== 0 ? digits(median(values) / median(yardstick)) : '-',
    reach ? `${reach.of === 'median' ? '' : `${reach.of} `}${reach.is} ${digits(reach.bound)}` : '-',
    reach ? verdict(row, reach) : '-',
  ]
}

function verdict(row: Row, { of, is, bound }: Reach): string {
  const value = judged(row, of)
  const isReached = is === 'at least' ? value >= bound : value <= bound
  return `${isReached ? 'yes' : 'NO'}, ${digits(value)}`
}

function judged({ values, yardstick = [] }: Row, of: Reach['of']): number {
  if (of === 'lowest') return Math.min(...values)
  if (of === 'highest') return Math.max(...values)
  if (of === 'ratio') return median(values) / median(yardstick)
  return of === 'difference' ? median(values) - median(yardstick) : median(values)
}

function spread(values: readonly number[]): string {
  const middle = digits(median(values))
  return values.length === 1 ? middle : `${middle} (${digits(Math.min(...values))}–${digits(Math.max(...values))})`
}

/** Three significant digits; whole numbers from 100 on. */
function digits(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)))
}
