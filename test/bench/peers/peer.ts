/** What the bench asks of a peer's process, and the call that is a job there: as their users would write it. */

export const IN_FLIGHT = 128

/** A job's data. */
export interface CallJob {
  readonly url: string
}

export interface PeerVerbs extends Readonly<Record<string, (...args: never[]) => unknown>> {
  /** Makes the peer's tables and stores that many jobs in bulk, all due. */
  readonly store: (database: string, jobs: number, url: string) => Promise<void>
  /** Begins to work off what is due, and goes on. */
  readonly start: (database: string) => Promise<void>
}

export async function call({ url }: CallJob): Promise<void> {
  const response = await fetch(url)
  if (!response.ok) throw new Error(`the endpoint answered ${response.status}`)
}
