/** Clients that ask callme for much, each for the next as soon as it has its answer: dry runs over large tasks, scans, and bulk bodies. */
import { answerParent } from './child.ts'

export type HeavyLoadVerbs = typeof verbs

const BULK_TASKS = 1000
/** With everything else of a task that is a body of almost 16 MiB. */
const BULK_PAYLOAD = 16_500

interface Kind {
  readonly clients: number
  readonly ask: (api: string) => Promise<Response>
}

const bulkBody = JSON.stringify(
  Array.from({ length: BULK_TASKS }, (_, n) => {
    return { task_name: `bulk-${n}`, trigger_at: '+60d', callback: 'http://127.0.0.1:9/', payload: 'x'.repeat(BULK_PAYLOAD) }
  }),
)
const KINDS: Readonly<Record<string, Kind>> = {
  'dry runs': {
    clients: 1,
    ask: (api) => fetch(`${api}/reschedule/?name=large-*&all=true&dry_run=true`, { method: 'POST', body: '{"trigger_at":"+31d"}' }),
  },
  scans: { clients: 50, ask: (api) => fetch(`${api}/status/?name=nobody-*`) },
  'bulk bodies': { clients: 8, ask: (api) => fetch(`${api}/tasks`, { method: 'POST', body: bulkBody }) },
}

let isLoading = false
let answered = 0
let clients: Promise<void>[] = []

const verbs = {
  /** @param kind one of the kinds above; nobody asks for any other */
  start: (kind: string, api: string): void => {
    const { clients: count, ask } = KINDS[kind] ?? { clients: 0, ask: undefined }
    isLoading = true
    answered = 0
    clients = Array.from({ length: count }, () => (ask === undefined ? Promise.resolve() : load(() => ask(api))))
  },

  /** @returns how many answers came */
  stop: async (): Promise<number> => {
    isLoading = false
    await Promise.all(clients)
    return answered
  },
}
answerParent(verbs)

async function load(ask: () => Promise<Response>): Promise<void> {
  while (isLoading) {
    const response = await ask()
    await response.arrayBuffer()
    if (response.status >= 300 && response.status !== 400) throw new Error(`a heavy client was answered ${response.status}`)
    answered += 1
  }
}
