/** A receiver that holds every call until it is told to answer. */
import type { ServerResponse } from 'node:http'
import { startReceiver } from './receiver.ts'
import type { Receiver } from './receiver.ts'

export interface Holder extends Receiver {
  /** the calls that wait for their answers, by run and attempt */
  readonly held: ReadonlyMap<string, ServerResponse>
  /** Answers those for which this holds, and from then on every new one for which it does as soon as it comes. */
  release(isMeant?: (call: HeldCall) => boolean): void
}

export interface HeldCall {
  readonly runId: string
  readonly attempt: number
}

/** How a call is named among those that are held. */
export function nameOf({ runId, attempt }: HeldCall): string {
  return `${runId}/${attempt}`
}

export async function startHolder(): Promise<Holder> {
  const held = new Map<string, ServerResponse>()
  let isReleased: (call: HeldCall) => boolean = () => false
  const receiver = await startReceiver((response, { headers }) => {
    const call = { runId: headers['callme-run-id'] as string, attempt: Number(headers['callme-attempt']) }
    if (isReleased(call)) response.end()
    else held.set(nameOf(call), response)
  })
  const release = (isMeant: (call: HeldCall) => boolean = () => true): void => {
    isReleased = isMeant
    for (const [name, response] of held) {
      const [runId = '', attempt] = name.split('/')
      if (!isMeant({ runId, attempt: Number(attempt) })) continue
      held.delete(name)
      response.end()
    }
  }
  return { ...receiver, held, release }
}
