/** A part of a bench that runs in a process of its own: its functions are called over Node's own channel to a child. */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'

type Verbs = Readonly<Record<string, (...args: never[]) => unknown>>
type Answer = { readonly number: number } & ({ readonly value: unknown } | { readonly error: string })

export class Child<V extends Verbs> {
  readonly #process: ChildProcess
  readonly #waiting = new Map<number, { resolve: (value: never) => void; reject: (reason: Error) => void }>()
  #nextNumber = 0

  /** @param script a file, as seen from this folder, that calls `answerParent` */
  constructor(script: string) {
    this.#process = fork(new URL(script, import.meta.url), { serialization: 'advanced' })
    this.#process.on('message', (answer: Answer) => {
      const asked = this.#waiting.get(answer.number)
      this.#waiting.delete(answer.number)
      if ('error' in answer) asked?.reject(new Error(`${script}: ${answer.error}`))
      else asked?.resolve(answer.value as never)
    })
    this.#process.on('exit', (code) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`${script} ended with ${String(code)}`))
    })
  }

  get pid(): number {
    return this.#process.pid ?? 0
  }

  ask<K extends keyof V & string>(verb: K, ...args: Parameters<V[K]>): Promise<Awaited<ReturnType<V[K]>>> {
    return new Promise((resolve, reject) => {
      const number = this.#nextNumber++
      this.#waiting.set(number, { resolve, reject })
      this.#process.send({ number, verb, args })
    })
  }

  /** As a crash would. What was asked and is not answered yet is rejected. */
  async kill(): Promise<void> {
    const ended = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const ended = once(this.#process, 'exit')
    this.#process.disconnect()
    await ended
  }
}

/** In the child: answers what the parent asks, and ends with the parent. */
export function answerParent(verbs: Verbs): void {
  process.on('message', ({ number, verb, args }: { number: number; verb: string; args: never[] }) => {
    Promise.resolve()
      .then(() => verbs[verb]?.(...args))
      .then(
        (value) => process.send?.({ number, value }),
        (error: unknown) => process.send?.({ number, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
      )
  })
  process.on('disconnect', () => {
    process.exit()
  })
}
