/**
 * How lanes are called in the store: a host, or `<group>@<host>` for the rows of a handler, whose group is its name. Neither a name nor a
 * host holds an "@".
 */

/** The lane of rows that have neither a handler any more nor a callback of their own. */
export const ORPHANS = '@'

/** The lane of a group's rows to one host; the empty host is that of rows without a callback of their own. */
export function handlerLane(group: string, host: string): string {
  return `${group}@${host}`
}

export function parseLane(lane: string): { handler?: string; host: string } {
  const at = lane.indexOf('@')
  return at === -1 ? { host: lane } : { handler: lane.slice(0, at), host: lane.slice(at + 1) }
}

/** The bounds between which a group's lanes lie: `first` inclusive, `end` exclusive. "A" follows "@". */
export function lanesOf(group: string): { first: string; end: string } {
  return { first: `${group}@`, end: `${group}A` }
}
