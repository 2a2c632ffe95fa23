/** What the rules are held against. */
import type { Entry } from './entry.ts'
import type { Model } from './model.ts'
import type { Network } from './network.ts'
import type { WorldTime } from './world-time.ts'

export interface RuleContext {
  readonly model: Model
  readonly time: WorldTime
  readonly network: Network
  /** by key, as they are now */
  readonly entries: ReadonlyMap<string, Entry>
  readonly retentionMs: number
  readonly isAlive: (node: string | null) => boolean
  /** keys of what retention has removed, of which listeners are not told */
  readonly pruned: Set<string>
  /** attempts whose outcome was recorded, by run and number */
  readonly recorded: Set<string>
  /** whether the store was slow or the clock jumped of late, so that what a write goes by may be older than now */
  readonly isUnsteady: boolean
  /** whether nothing has gone wrong for a while */
  readonly isWell: boolean
  /** wall clock of each start of an attempt, by handler */
  readonly starts: Map<string, number[]>
  /** what workers have been given, by run and attempt */
  readonly pulled: Set<string>
  /** attempts that were acknowledged before their call was made, which is made all the same, by run and number */
  readonly overtaken: Set<string>
  /** whether the present attempt is known to have gone well */
  readonly hasSucceeded: (entry: Entry) => boolean
}
