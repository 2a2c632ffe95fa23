/** Workers that claim over a connection of their own, and that a test can make leave. */
import { settle } from './fake-clock.ts'

export interface ClaimAnswer {
  readonly status: number
  readonly names: readonly string[]
  /** what the header `Connection` says */
  readonly connection: string | null
  readonly body: { readonly tasks?: readonly Record<string, unknown>[]; readonly lease_until?: string | null; readonly error?: string }
}

export interface WaitingWorker {
  readonly answer: Promise<ClaimAnswer>
  /** Closes the connection without waiting for the answer. */
  leave(): void
}

/** @param target name and query of the claim, such as `work?wait=20` */
export function startClaim(port: number, target: string): WaitingWorker {
  const controller = new AbortController()
  const answer = fetch(`http://127.0.0.1:${port}/claim/${target}`, { method: 'POST', signal: controller.signal }).then(async (response) => {
    const body = (await response.json()) as ClaimAnswer['body']
    const names = (body.tasks ?? []).map((task) => String(task['task_name']))
    return { status: response.status, names, connection: response.headers.get('connection'), body }
  })
  // One that leaves gets no answer, and nobody may be asking for it.
  answer.catch(() => undefined)
  return {
    answer,
    leave: () => {
      controller.abort()
    },
  }
}

/** Lets the event loop turn until `condition` holds; the time limit of the test ends what never comes true. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await settle()
}
