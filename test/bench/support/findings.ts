/** What a bench finds, as plain data: it prints it, and tells it to the process that runs it, which may keep it. */

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

export interface Table {
  readonly kind: 'table'
  readonly title: string
  /** what the second column stands for */
  readonly yardstick: string
  readonly rows: readonly Row[]
}

/** Several programs side by side. */
export interface Comparison {
  readonly kind: 'comparison'
  readonly title: string
  readonly contestants: readonly { readonly name: string; readonly product: string }[]
  readonly columns: readonly Column[]
  /** how the columns are to be read */
  readonly legend: readonly string[]
}

export interface Column {
  readonly name: string
  readonly unit?: string
  /** what is better; absent where nothing is ranked */
  readonly better?: 'more' | 'less'
  /** which rank callme aims at among the products, and what costs it the rank where it is not reached */
  readonly aim?: { readonly rank: 1 | 2; readonly otherwise: string }
  /** of each contestant: a value for each round, or words */
  readonly cells: readonly (readonly number[] | string)[]
}

/** What the figures depend on, such as the version of a database. */
export interface Note {
  readonly kind: 'note'
  readonly text: string
}

export type Finding = Table | Comparison | Note

export function tell(finding: Finding): void {
  process.send?.(finding)
}

/** Prints it, once for each text. */
export function note(text: string): void {
  if (noted.has(text)) return
  noted.add(text)
  console.log(text)
  tell({ kind: 'note', text })
}

const noted = new Set<string>()
