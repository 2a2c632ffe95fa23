/** How long the claims of a node hold. The scheduler renews them. Each thread looks here in the moment before it starts a call. */

/** Two numbers that threads share, epoch ms: from when on no renewal has come too late, and until when all claims since then hold. */
export type SharedLease = BigInt64Array<SharedArrayBuffer>

/** What a call is started under, epoch ms. */
export interface Claimed {
  readonly claimedAt: number
  /** the end of the lease as it was claimed */
  readonly leaseUntil: number
}

/** A lease under which nothing was renewed yet. */
export function newLease(): SharedLease {
  return new BigInt64Array(new SharedArrayBuffer(2 * BigInt64Array.BYTES_PER_ELEMENT))
}

/** Notes that all claims of the node hold until `until`. Where the note before was over, older claims may be lost already. */
export function renewLease(lease: SharedLease, now: number, until: number): void {
  if (BigInt(now) >= Atomics.load(lease, 1)) Atomics.store(lease, 0, BigInt(now))
  Atomics.store(lease, 1, BigInt(until))
}

/** Whether a claim surely holds. @param now epoch ms */
export function isHeld(lease: SharedLease, { claimedAt, leaseUntil }: Claimed, now: number): boolean {
  if (now < leaseUntil) return true
  return BigInt(now) < Atomics.load(lease, 1) && BigInt(claimedAt) >= Atomics.load(lease, 0)
}
