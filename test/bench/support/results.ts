/** The figures of the last runs, which `README.md` beside it shows: one file, in which each bench replaces its own. Rounds are kept as lowest, median and highest. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { VERSION } from '../../../src/version.ts'
import type { Finding } from './findings.ts'
import type { Machine } from './machine.ts'
import { renderReadme } from './render.ts'
import { percentile } from './table.ts'

export const RESULTS = new URL('../results.json', import.meta.url)
export const README = new URL('../README.md', import.meta.url)

export interface Results {
  readonly machine: Machine
  readonly benches: Readonly<Record<string, BenchResult>>
}

export interface BenchResult {
  /** what measures these figures again */
  readonly command: string
  /** when it ended, ISO 8601 */
  readonly measuredAt: string
  readonly seconds: number
  /** of callme, with the commit */
  readonly version: string
  readonly findings: readonly Finding[]
}

const SIGNIFICANT_DIGITS = 6
const LINE_LENGTH = 220
/** What a bench measures: a change elsewhere does not touch its figures. */
const MEASURED = ['src', 'bin', 'schema', 'package.json']

/** Keeps a bench's figures and writes both files. Those of another machine are thrown away: they could not stand in one table. */
export function keepResult(machine: Machine, bench: string, result: BenchResult): void {
  const kept = existsSync(RESULTS) ? readResults() : undefined
  const isSame = kept !== undefined && JSON.stringify(kept.machine) === JSON.stringify(machine)
  // The latest stands last, so that a run of all puts them into its own order.
  const { [bench]: replaced, ...others } = isSame ? kept.benches : {}
  const results: Results = { machine, benches: { ...others, [bench]: result } }
  writeFileSync(RESULTS, `${textOf(JSON.parse(JSON.stringify(results, (_, value: unknown) => shortened(value))))}\n`)
  writeFileSync(README, renderReadme(readResults()))
}

export function readResults(): Results {
  return JSON.parse(readFileSync(RESULTS, 'utf8')) as Results
}

/** Of callme, with the commit that is checked out where there is one. */
export function measuredVersion(): string {
  const git = (...args: string[]): string => spawnSync('git', args, { cwd: new URL('../../..', import.meta.url), encoding: 'utf8' }).stdout
  const commit = git('rev-parse', '--short', 'HEAD').trim()
  if (commit === '') return VERSION
  const isChanged = git('status', '--porcelain', '--', ...MEASURED).trim() !== ''
  return `${VERSION}, commit ${commit}${isChanged ? ' with changes' : ''}`
}

/** A number with the digits that are shown; of several rounds the lowest, the median and the highest. */
function shortened(value: unknown): unknown {
  if (typeof value === 'number') return Number(value.toPrecision(SIGNIFICANT_DIGITS))
  const isOfRounds = Array.isArray(value) && value.length > 3 && value.every((one) => typeof one === 'number')
  return isOfRounds ? [0, 0.5, 1].map((fraction) => percentile(value, fraction)) : value
}

/** JSON with one line for each value that fits into it, so that each figure is a line. */
function textOf(value: unknown, indent = ''): string {
  const line = JSON.stringify(value)
  if (typeof value !== 'object' || value === null || indent.length + line.length <= LINE_LENGTH) return line
  const isList = Array.isArray(value)
  const lines = Object.entries(value).map(([name, one]) => `${indent} ${isList ? '' : `"${name}": `}${textOf(one, `${indent} `)}`)
  return `${isList ? '[' : '{'}\n${lines.join(',\n')}\n${indent}${isList ? ']' : '}'}`
}
