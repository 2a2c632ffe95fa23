/**
 * How lanes are called in the store: a host, or, for rows of a name with a handler and rows without a callback of their own,
 * `<name>@<host>`. Neither a name nor a host holds an "@".
 */

/** The lane of a name's rows to one host; the empty host is that of rows without a callback of their own. */
export function ownLane(name: string, host: string): string {
  return `${name}@${host}`
}

export function parseLane(lane: string): { name?: string; host: string } {
  const at = lane.indexOf('@')
  return at === -1 ? { host: lane } : { name: lane.slice(0, at), host: lane.slice(at + 1) }
}

/** The bounds between which a name's own lanes lie: `first` inclusive, `end` exclusive. "A" follows "@". */
export function lanesOf(name: string): { first: string; end: string } {
  return { first: `${name}@`, end: `${name}A` }
}
