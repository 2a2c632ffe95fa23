/** Shows several programs side by side, and callme's rank among the products in each column. */
import { tell } from './findings.ts'
import type { Column, Comparison } from './findings.ts'
import { digits, median, printLines, spread } from './table.ts'

const OURS = 'callme'
const AIMS = { 1: 'first', 2: 'first or second' }

/** Callme's place in one column: among the other products, a product being as good as its best contestant. */
interface Standing {
  readonly name: string
  readonly rank: number
  /** of its figure to that of the best other contestant */
  readonly ratio: number
}

export function printComparison(comparison: Omit<Comparison, 'kind'>): void {
  const whole: Comparison = { kind: 'comparison', ...comparison }
  console.log(`\n${whole.title}`)
  printLines(sideBySide(whole, (values) => digits(median(values))))
  console.log('\ncallme among them')
  printLines(standings(whole))
  for (const line of [...whole.legend, ...reasons(whole)]) console.log(`  - ${line}`)
  tell(whole)
}

/** A line for each column, with a head. */
export function sideBySide({ contestants, columns }: Comparison, show: (values: readonly number[]) => string = spread): string[][] {
  const shown = (cell: readonly number[] | string): string => (typeof cell === 'string' ? cell : show(cell))
  return [
    ['figure', 'unit', ...contestants.map(({ name }) => name)],
    ...columns.map(({ name, unit = '', cells }) => [name, unit, ...cells.map(shown)]),
  ]
}

/** A line for each column that is ranked, with a head. */
export function standings({ contestants, columns }: Comparison): string[][] {
  const ours = contestants.filter(({ product }) => product === OURS).map(({ name }) => name)
  const head = ['figure', 'best of the others', ...ours.flatMap((name) => [name, 'ratio', 'rank']), 'aim', 'reached']
  const lines = columns.filter(isRanked).map((column) => {
    const best = bestOther(contestants, column)
    const cells = standingsIn(contestants, column).flatMap(({ name, ratio, rank }) => [
      digits(valueOf(contestants, column, name)),
      digits(ratio),
      String(rank),
    ])
    const { aim } = column
    const aimed = aim ? [AIMS[aim.rank], isReached(contestants, column) ? 'yes' : 'NO'] : ['-', '-']
    return [column.name, `${digits(best.value)} ${best.name}`, ...cells, ...aimed]
  })
  return [head, ...lines]
}

/** Why callme is not where it aims to be, for each column where it is not. */
export function reasons({ contestants, columns }: Comparison): string[] {
  const missed = columns.filter((column) => isRanked(column) && column.aim && !isReached(contestants, column))
  return missed.map(({ name, aim }) => `${name}: ${aim?.otherwise ?? ''}`)
}

function isRanked({ better }: Column): boolean {
  return better !== undefined
}

function isReached(contestants: Comparison['contestants'], column: Column): boolean {
  const best = Math.min(...standingsIn(contestants, column).map(({ rank }) => rank))
  return best <= (column.aim?.rank ?? Infinity)
}

function standingsIn(contestants: Comparison['contestants'], column: Column): Standing[] {
  const best = bestOther(contestants, column).value
  return contestants
    .filter(({ product }) => product === OURS)
    .map(({ name }) => {
      const value = valueOf(contestants, column, name)
      const ahead = others(contestants, column).filter((other) => isBetter(column, other.value, value))
      return { name, ratio: value / best, rank: 1 + new Set(ahead.map(({ product }) => product)).size }
    })
}

function bestOther(contestants: Comparison['contestants'], column: Column): { name: string; value: number } {
  return others(contestants, column).reduce((best, other) => (isBetter(column, other.value, best.value) ? other : best))
}

function others(contestants: Comparison['contestants'], column: Column): { name: string; product: string; value: number }[] {
  return contestants
    .filter(({ product }) => product !== OURS)
    .map(({ name, product }) => ({ name, product, value: valueOf(contestants, column, name) }))
}

function isBetter({ better }: Column, value: number, than: number): boolean {
  return better === 'less' ? value < than : value > than
}

function valueOf(contestants: Comparison['contestants'], { cells }: Column, name: string): number {
  const cell = cells[contestants.findIndex((contestant) => contestant.name === name)]
  return typeof cell === 'object' ? median(cell) : Number.NaN
}
