/** What is known at the end of a run, each part from another witness. Times are epoch ms of this machine unless a name says seconds. */
import type { WireTask } from '../../src/wire/present-task.ts'

/** Taken together: what a judgement needs, as plain data. */
export interface Evidence {
  readonly journal: Journal
  /** what the receiver says, in the order of arrival */
  readonly calls: readonly ReceivedCall[]
  /** what the store says, through the API: each entry with its history */
  readonly entries: readonly WireTask[]
  readonly troubles: readonly Trouble[]
}

/** What the users say. */
export interface Journal {
  /** by the name of its task */
  readonly wanted: Readonly<Record<string, Wanted>>
  /** those of one name in the order in which they were sent, one after the other */
  readonly operations: readonly Operation[]
  /** names of series, each with the time at which it was ended */
  readonly series: Readonly<Record<string, number>>
  /** what workers were given */
  readonly given: readonly Given[]
  /** attempts of which somebody has said how they ended, or may have: as `run id/attempt` */
  readonly acknowledged: readonly string[]
  /** answers that nothing explains */
  readonly wrongAnswers: readonly string[]
}

/** What was asked for under a name. */
export interface Wanted {
  readonly delivery: 'at_least_once' | 'at_most_once'
  readonly retry: number
  /** minutes */
  readonly maxDelay: number
  /** seconds */
  readonly timeout: number
  readonly isPulled: boolean
  readonly isAccepted: boolean
  readonly hasErrorCallback: boolean
  /** of all tasks of its handler together */
  readonly concurrency?: number
}

export interface Operation {
  readonly does: 'put' | 'run' | 'remove' | 'run and remove' | 'move'
  readonly name: string
  /** of the entry that is meant; of a put that was not answered it is not always known */
  readonly key?: string
  /** of a move: where the entry is then */
  readonly newKey?: string
  /** that it began, where the answer says so */
  readonly runId?: string
  readonly sentAt: number
  readonly answeredAt: number
  /** `unknown`: it was not answered, or with 503, so it may have happened, or may yet happen */
  readonly outcome: 'accepted' | 'refused' | 'unknown'
}

/** A task that was handed to a worker. */
export interface Given {
  readonly key: string
  readonly runId: string
  readonly attempt: number
  readonly at: number
}

export interface ReceivedCall {
  readonly key: string
  readonly runId: string
  readonly attempt: number
  readonly path: string
  readonly at: number
  /** a status where an answer, or a part of one, was handed to the network; undefined where there was no answer */
  readonly status?: number
  /** when the last of the answer was handed over */
  readonly answeredAt?: number
}

/** Something that befell a part. */
export interface Trouble {
  readonly what: 'node' | 'store' | 'receiver'
  /** the node's id; absent where it concerns all of them */
  readonly node?: string
  readonly from: number
  readonly to: number
}

/** A promise that was not kept, as the judge says it. */
export interface Finding {
  readonly rule: Rule
  readonly detail: string
}

export const RULES = [
  'lost',
  'invented',
  'waiting',
  'doubled',
  'early',
  'late',
  'unrecorded',
  'unexplained',
  'series',
  'answer',
  'ledger',
] as const
export type Rule = (typeof RULES)[number]

export function nameOf(key: string): string {
  return key.slice(0, key.lastIndexOf('@'))
}

/** Unix seconds */
export function minuteOf(key: string): number {
  return Number(key.slice(key.lastIndexOf('@') + 1))
}

export function keyOfTask({ task_name: name, trigger_at: triggerAt }: Pick<WireTask, 'task_name' | 'trigger_at'>): string {
  return `${name}@${triggerAt}`
}
