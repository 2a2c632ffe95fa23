/** The part of autocannon that the benches use; the package brings no types. */
declare module 'autocannon' {
  interface Client {
    setRequests(requests: readonly { readonly path: string; readonly body?: string }[]): void
  }

  interface Result {
    readonly '2xx': number
    /** how often each status came */
    readonly statusCodeStats: Readonly<Record<string, { readonly count: number }>>
    readonly errors: number
    readonly timeouts: number
  }

  interface Options {
    readonly url: string
    readonly method: string
    readonly body?: string
    readonly connections: number
    /** how many requests in all */
    readonly amount: number
    /** ms between two samples */
    readonly sampleInt: number
    readonly setupClient: (client: Client) => void
  }

  interface Run extends Promise<Result> {
    /** when every connection is prepared, and nothing is sent yet */
    once(event: 'start', listener: () => void): this
  }

  export default function autocannon(options: Options): Run
}
