/** A peer as a contestant: a process of its own that uses the library, and is told what to do by the bench. */
import type { PeerVerbs } from '../peers/peer.ts'
import { Child } from './child.ts'
import { BATCH, CALLERS } from './contestant.ts'
import type { Contestant, Running } from './contestant.ts'

/** @param product also the name of its file */
export function peerContestant(product: string, about: Pick<Contestant, 'name' | 'storedWhen' | 'openPlace'>): Contestant {
  const launch = (store: string): Promise<Running> => {
    const child = new Child<PeerVerbs>(`../peers/${product}.ts`)
    const opened = child.ask('open', store)
    opened.catch(() => undefined)
    return Promise.resolve({
      pid: child.pid,
      addEach: async (jobs) => {
        await opened
        return await child.ask('addEach', jobs, CALLERS)
      },
      addBulk: async (jobs) => {
        await opened
        return await child.ask('addBulk', jobs, BATCH)
      },
      work: async () => {
        await opened
        await child.ask('work')
      },
      waiting: async () => {
        await opened
        return await child.ask('waiting')
      },
      kill: () => child.kill(),
      stop: () => child[Symbol.asyncDispose](),
    })
  }
  const fill: Contestant['fill'] = async (store, jobs) => {
    const running = await launch(store)
    await running.addBulk(jobs)
    await running.stop()
  }
  return { ...about, product, fill, launch }
}
