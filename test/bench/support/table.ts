/** Shows what a bench measured beside its yardstick: medians with their range over the rounds, the ratio, and whether the aim was reached. */
import { tell } from './findings.ts'
import type { Reach, Row } from './findings.ts'

export type { Reach, Row } from './findings.ts'

export const HEAD = ['figure', 'unit', 'callme', 'yardstick', 'ratio', 'reach', 'reached']

/** @param yardstick what the second column stands for */
export function printTable(title: string, yardstick: string, rows: readonly Row[]): void {
  console.log(`\n${title}\nyardstick: ${yardstick}`)
  printLines([HEAD, ...rows.map(cellsOf)])
  tell({ kind: 'table', title, yardstick, rows })
}

/** Prints cells in columns. */
export function printLines(lines: readonly (readonly string[])[]): void {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  for (const line of lines) {
    const cells = line.map((cell, column) => cell.padEnd(widths[column] ?? 0))
    console.log(`  ${cells.join('  ').trimEnd()}`)
  }
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

/** In the order of `HEAD`. */
export function cellsOf(row: Row): string[] {
  const { figure, unit, values, yardstick, reach } = row
  return [
    figure,
    unit,
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

/** The median, and in parentheses the lowest and the highest of several. */
export function spread(values: readonly number[]): string {
  const middle = digits(median(values))
  return values.length === 1 ? middle : `${middle} (${digits(Math.min(...values))}–${digits(Math.max(...values))})`
}

/** Three significant digits; whole numbers from 100 on. */
export function digits(value: number): string {
  if (Number.isNaN(value)) return '-'
  return Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)))
}
