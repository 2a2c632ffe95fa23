/** What the bench asks of a peer's process, what each peer is asked in turn, and the call that is a job there: as their users would write it. */
import { answerParent } from '../support/child.ts'

export const IN_FLIGHT = 128

/** A job's data. */
export interface CallJob {
  readonly url: string
}

/** Jobs that call `<url><number>`, from 0 on, and are due at `dueAt`, epoch ms. */
export interface Jobs {
  readonly count: number
  readonly url: string
  readonly dueAt: number
}

export interface Peer {
  /** Connects to a store, and makes its tables. */
  readonly open: (store: string) => unknown
  readonly add: (job: CallJob, dueAt: Date) => unknown
  readonly addMany: (jobs: readonly CallJob[], dueAt: Date) => unknown
  /** Begins to work off what is due, and goes on. */
  readonly work: () => unknown
  /** @returns how many jobs are stored and not recorded as complete */
  readonly waiting: () => number | Promise<number>
}

export interface PeerVerbs extends Readonly<Record<string, (...args: never[]) => unknown>> {
  readonly open: (store: string) => Promise<void>
  /** @param callers how many add one job after the other at the same time. @returns how long it took, ms */
  readonly addEach: (jobs: Jobs, callers: number) => Promise<number>
  /** @param batch how many at a time. @returns how long it took, ms */
  readonly addBulk: (jobs: Jobs, batch: number) => Promise<number>
  readonly work: () => Promise<void>
  readonly waiting: () => Promise<number>
}

export function answerAs({ open, add, addMany, work, waiting }: Peer): void {
  const verbs: PeerVerbs = {
    open: async (store) => {
      await open(store)
    },
    addEach: async (jobs, callers) => {
      const [dueAt, startedAt] = [new Date(jobs.dueAt), performance.now()]
      let next = 0
      const addOneAfterTheOther = async (): Promise<void> => {
        while (next < jobs.count) await add(jobOf(jobs, next++), dueAt)
      }
      await Promise.all(Array.from({ length: callers }, addOneAfterTheOther))
      return performance.now() - startedAt
    },
    addBulk: async (jobs, batch) => {
      const [dueAt, startedAt] = [new Date(jobs.dueAt), performance.now()]
      for (let added = 0; added < jobs.count; added += batch) {
        const length = Math.min(batch, jobs.count - added)
        await addMany(
          Array.from({ length }, (_, index) => jobOf(jobs, added + index)),
          dueAt,
        )
      }
      return performance.now() - startedAt
    },
    work: async () => {
      await work()
    },
    waiting: async () => waiting(),
  }
  answerParent(verbs)
}

export async function call({ url }: CallJob): Promise<void> {
  const response = await fetch(url)
  if (!response.ok) throw new Error(`the endpoint answered ${response.status}`)
}

function jobOf({ url }: Jobs, number: number): CallJob {
  return { url: `${url}${number}` }
}
