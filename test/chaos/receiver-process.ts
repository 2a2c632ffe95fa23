/** The receiver of a run, in a process of its own: answers as chance has it, and keeps its own count of what it has seen. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { answerParent } from '../bench/support/child.ts'
import { Random } from '../simulation/random.ts'
import { nameOf } from './evidence.ts'
import type { ReceivedCall } from './evidence.ts'

/** Higher ones are given to outgoing connections, and a server could not have its port back. */
const [LOWEST_PORT, HIGHEST_PORT] = [20_000, 32_000]
/** So that calls are under way whenever something goes wrong. */
const SLOW_MS = 1500

type Manner = 'well' | 'slowly' | 500 | 503 | 404 | 'not at all' | 'in part' | 'by hanging up'

const server = createServer(receive)
const calls: { -readonly [Field in keyof ReceivedCall]: ReceivedCall[Field] }[] = []
/** answers that are held back; undefined while none is */
let held: (() => void)[] | undefined
/** of which names; of all where empty */
let heldNames: readonly string[] = []
/** told of each call that is held */
const onHeld = new Set<() => void>()
let accepted: ReceivedCall[] = []
let seed = 0
let port = 0

const verbs = {
  /** @returns its URL, without a slash at the end */
  async open(withSeed: number): Promise<string> {
    seed = withSeed
    while (!server.listening) {
      const wanted = port || LOWEST_PORT + Math.floor(Math.random() * (HIGHEST_PORT - LOWEST_PORT))
      server.listen(wanted, '127.0.0.1')
      await once(server, 'listening').catch((error: unknown) => {
        if (port !== 0) throw error
      })
    }
    ;({ port } = server.address() as AddressInfo)
    return `http://127.0.0.1:${port}`
  },

  /** Cuts every connection and takes no new one. */
  async close(): Promise<void> {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  },

  /** @returns calls to `/accept…` that came since the last time: their work is to be acknowledged */
  takeAccepted(): ReceivedCall[] {
    const taken = accepted
    accepted = []
    return taken
  },

  /** Holds back every answer from now on, or only those to tasks of some names. */
  hold(names: readonly string[] = []): void {
    held = []
    heldNames = names
  },

  /** Resolves when so many calls are held. */
  async holds(count: number): Promise<void> {
    while ((held?.length ?? 0) < count) await new Promise<void>((resolve) => onHeld.add(resolve))
  },

  /** Answers what is held, and all that comes later, at once. */
  release(): void {
    for (const give of held ?? []) give()
    held = undefined
  },

  calls: (): readonly ReceivedCall[] => calls,
}

export type ReceiverVerbs = typeof verbs

function receive(request: IncomingMessage, response: ServerResponse): void {
  request.resume().once('end', () => {
    const { headers, url = '' } = request
    const call: (typeof calls)[number] = {
      key: decodeURIComponent(headers['callme-task'] as string),
      runId: headers['callme-run-id'] as string,
      attempt: Number(headers['callme-attempt']),
      path: url,
      at: Date.now(),
    }
    calls.push(call)
    const random = new Random(seed, call.key, call.attempt, url)
    const manner = mannerOf(random)
    if (url === '/accept' && (manner === 'well' || manner === 'slowly' || manner === 'in part')) accepted.push(call)
    const give = (): void => {
      answer(manner, response, random, (status) => {
        call.status = status
        call.answeredAt = Date.now()
      })
    }
    const isHeld = heldNames.length === 0 || heldNames.includes(nameOf(call.key))
    if (held === undefined || !isHeld) {
      give()
      return
    }
    held.push(give)
    for (const resolve of onHeld) resolve()
    onHeld.clear()
  })
}

function mannerOf(random: Random): Manner {
  return random.weighted<Manner>([
    [35, 'well'],
    [45, 'slowly'],
    [6, 500],
    [5, 503],
    [3, 404],
    [1, 'not at all'],
    [2, 'in part'],
    [2, 'by hanging up'],
  ])
}

function answer(manner: Manner, response: ServerResponse, random: Random, onAnswered: (status: number) => void): void {
  // Noted before it leaves: whoever gets it may call again before this process is told that it was sent.
  const whole = (status: number, headers: Record<string, string> = {}): void => {
    if (response.destroyed) return
    onAnswered(status)
    response.writeHead(status, headers).end('done')
  }
  switch (manner) {
    case 'well':
      whole(200)
      return
    case 'slowly':
      setTimeout(whole, random.int(1, SLOW_MS), 200)
      return
    case 503:
      whole(503, { 'Retry-After': String(random.int(1, 3)) })
      return
    case 'not at all':
      return
    case 'in part':
      onAnswered(200)
      response.writeHead(200, { 'Content-Length': '1000' })
      response.write('the first part', () => response.destroy())
      return
    case 'by hanging up':
      response.destroy()
      return
    default:
      whole(manner)
  }
}

answerParent(verbs)
