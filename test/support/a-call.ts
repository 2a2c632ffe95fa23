/** Builds call requests of which a test states only what matters. */
import type { CallRequest } from '../../src/caller/caller.ts'

/** A GET without headers that may take ten seconds and is due, and has neither a deadline nor a lease to speak of. */
export function aCall(fields: Partial<CallRequest> & Pick<CallRequest, 'url'>): CallRequest {
  return {
    method: 'GET',
    headers: {},
    body: undefined,
    timeoutMs: 10_000,
    dueAt: 0,
    deadline: Number.MAX_SAFE_INTEGER,
    claimedAt: 0,
    leaseUntil: Number.MAX_SAFE_INTEGER,
    mayReuseConnection: true,
    ...fields,
  }
}
