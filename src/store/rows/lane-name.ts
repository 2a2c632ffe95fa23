/** The names of lanes: a host, or `<handler>@<host>` for the rows of a handler. Neither the name of a handler nor a host holds an "@". */

/** The lane of rows without a callback of their own whose handler is gone. */
export const ORPHANS = '@'

/** The lane of a handler's rows to one host. The host is empty for rows without a callback of their own. @param handler its name */
export function handlerLane(handler: string, host: string): string {
  return `${handler}@${host}`
}

export function parseLane(lane: string): { handler?: string; host: string } {
  const at = lane.indexOf('@')
  return at === -1 ? { host: lane } : { handler: lane.slice(0, at), host: lane.slice(at + 1) }
}

/** The bounds of a handler's lanes: `first` inclusive, `end` exclusive. "A" follows "@". */
export function lanesOf(handler: string): { first: string; end: string } {
  return { first: `${handler}@`, end: `${handler}A` }
}
