/** Every random choice of a world, drawn from its seed. */
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'

/** A stream of numbers that its origin alone decides, so that one decision which is taken away leaves the draws of the others as they were. */
export class Random {
  #state: number

  constructor(...origin: readonly (string | number)[]) {
    this.#state = hash(origin.join('/'))
  }

  /** a number in [0, 1) */
  next(): number {
    // mulberry32: small, fast, and even enough for this.
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let bits = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32
  }

  /** a whole number from `least` to `most` */
  int(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1))
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(values: readonly T[]): T {
    return values[this.int(0, values.length - 1)] as T
  }

  /** One of the values, each as often as its weight says. */
  weighted<T>(values: readonly (readonly [weight: number, value: T])[]): T {
    let left = this.next() * values.reduce((sum, [weight]) => sum + weight, 0)
    for (const [weight, value] of values) {
      left -= weight
      if (left < 0) return value
    }
    return (values.at(-1) as readonly [number, T])[1]
  }
}

/** FNV-1a */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let at = 0; at < text.length; at += 1) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193)
  return value
}

/**
 * Has `randomUUID` count for the rest of the process, so that a world that is run again has the same run ids.
 * @returns what starts the count anew
 */
export function countUuids(): () => void {
  let count = 0
  crypto.randomUUID = () => {
    count += 1
    return `00000000-0000-4000-8000-${String(count).padStart(12, '0')}`
  }
  // What the modules of src have imported is a live binding of this.
  syncBuiltinESMExports()
  return () => {
    count = 0
  }
}
