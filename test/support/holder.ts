/** A receiver that holds every call until it is told to answer. */
import type { ServerResponse } from 'node:http'
import { startReceiver } from './receiver.ts'
import type { Receiver } from './receiver.ts'

export interface Holder extends Receiver {
  /** the calls that wait for their answers, by run and attempt */
  readonly held: ReadonlyMap<string, ServerResponse>
  /** Answers those for which this holds, as all new calls from then on. */
  release(isMeant?: (attempt: string) => boolean): void
}

export async function startHolder(): Promise<Holder> {
  const held = new Map<string, ServerResponse>()
  const receiver = await startReceiver((response, { headers }) => {
    held.set(`${headers['callme-run-id'] as string}/${headers['callme-attempt'] as string}`, response)
  })
  const release = (isMeant: (attempt: string) => boolean = () => true): void => {
    receiver.answer(undefined, {})
    for (const [attempt, response] of held) {
      if (!isMeant(attempt)) continue
      held.delete(attempt)
      response.end()
    }
  }
  return { ...receiver, held, release }
}
