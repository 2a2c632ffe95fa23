/** The users' journal against the store: what was accepted is there, nothing else is, and all of it has ended with a reason. */
import type { WireTask } from '../../src/wire/present-task.ts'
import { keyOfTask, nameOf } from './evidence.ts'
import type { Evidence, Finding, Operation, ReceivedCall } from './evidence.ts'

const FINAL: readonly WireTask['task_state'][] = ['successful', 'failed', 'skipped']

/** What must have become of a key; `runId` where nothing can have begun another run since. */
type Fate = { readonly is: 'there'; readonly runId?: string | undefined } | { readonly is: 'gone' | 'gone or there' | 'gone once called' }

/** Series have rules of their own. */
export function checkStored({ journal, entries, calls }: Evidence): Finding[] {
  const stored = Map.groupBy(entries, ({ task_name: name }) => name)
  const operations = Map.groupBy(
    journal.operations.filter(({ name }) => !(name in journal.series)),
    ({ name }) => name,
  )
  // What somebody may have done with success.
  const done = new Set([...calls.filter(({ status }) => status === 200), ...journal.given].map(({ key }) => key))
  const unknown = entries.filter(({ task_name: name }) => !(name in journal.wanted))
  return [
    ...unknown.map((entry): Finding => ({ rule: 'invented', detail: `nobody has asked for ${keyOfTask(entry)}` })),
    ...[...operations].flatMap(([name, ofName]) => checkName(ofName, stored.get(name) ?? [], done)),
  ]
}

function checkName(operations: readonly Operation[], entries: readonly WireTask[], done: ReadonlySet<string>): Finding[] {
  const isCertain = operations.every(({ outcome }) => outcome !== 'unknown')
  const stored = new Map(entries.map((entry) => [keyOfTask(entry), entry]))
  const fates = fatesOf(operations)
  const findings: Finding[] = []
  for (const [key, fate] of fates) {
    const entry = stored.get(key)
    if (entry === undefined && fate.is === 'there') findings.push({ rule: 'lost', detail: `${key} was accepted and is not stored` })
    if (entry === undefined && fate.is === 'gone once called' && !done.has(key))
      findings.push({ rule: 'lost', detail: `${key} was to be removed once it had succeeded, which it never did, and is not stored` })
    if (entry !== undefined && fate.is === 'gone' && isCertain)
      findings.push({ rule: 'invented', detail: `${key} was removed and is stored` })
    if (entry !== undefined && fate.is === 'there' && isCertain && fate.runId !== undefined && entry.run_id !== fate.runId)
      findings.push({ rule: 'lost', detail: `of ${key} run ${fate.runId} was accepted last, stored is run ${entry.run_id}` })
  }
  const others = isCertain ? [...stored.keys()].filter((key) => !fates.has(key)) : []
  return [...findings, ...others.map((key): Finding => ({ rule: 'invented', detail: `nobody has asked for ${key}` }))]
}

function fatesOf(operations: readonly Operation[]): Map<string, Fate> {
  const fates = new Map<string, Fate>()
  for (const { does, key, newKey, runId, outcome } of operations) {
    if (key === undefined || outcome === 'refused') continue
    if (outcome === 'accepted') {
      if (does === 'put' || does === 'run') fates.set(key, { is: 'there', runId })
      if (does === 'remove') fates.set(key, { is: 'gone' })
      if (does === 'run and remove') fates.set(key, { is: 'gone once called' })
    } else if (does === 'put' || does === 'run') {
      if (fates.get(key)?.is === 'there') fates.set(key, { is: 'there' })
    } else fates.set(key, { is: 'gone or there' })
    if (does === 'move' && outcome === 'accepted' && newKey !== undefined) {
      // What had ended stays, what waited is at its new time only.
      fates.set(key, { is: 'gone or there' })
      fates.set(newKey, { is: 'there', runId })
    }
  }
  return fates
}

export function checkEnded({ journal, entries, calls }: Evidence): Finding[] {
  return entries.flatMap((entry) => {
    const { task_state: state, error, error_callback_result: told } = entry
    const key = keyOfTask(entry)
    if (!FINAL.includes(state)) return [{ rule: 'waiting', detail: `${key} is ${state}` }]
    if (state === 'successful') return []
    const findings: Finding[] = []
    if (!error) findings.push({ rule: 'unexplained', detail: `${key} is ${state} and does not say why` })
    if (!journal.wanted[nameOf(key)]?.hasErrorCallback) return findings
    if (told === null) findings.push({ rule: 'lost', detail: `${key} is ${state}, and nobody was to be told` })
    else if (!FINAL.includes(told.state)) findings.push({ rule: 'waiting', detail: `the error callback of ${key} is ${told.state}` })
    else if (told.state === 'successful' && !calls.some((call) => isErrorCallback(call) && call.key === key && call.status === 200))
      findings.push({ rule: 'unrecorded', detail: `the receiver was not told of ${key}, which says that it was` })
    return findings
  })
}

export const ERRORS_PATH = '/errors'

export function isErrorCallback({ path }: Pick<ReceivedCall, 'path'>): boolean {
  return path === ERRORS_PATH
}
