/** A client of event streams that reads them as WHATWG HTML §9.2.6 says, over a real socket that a test may stop reading. */
import { EventEmitter, once } from 'node:events'
import http from 'node:http'
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { WireTask } from '../../src/wire/present-task.ts'

export interface ServerEvent {
  readonly id: string
  readonly event: string
  /** as JSON: a task, or what a notice of the stream holds */
  readonly data: WireTask & { readonly payload_omitted?: true }
}

export interface OpenOptions {
  /** what follows `/events` in the URL */
  readonly query?: string
  /** sent as the header Last-Event-ID */
  readonly lastEventId?: string | number
}

/** Resolves as soon as the head of the answer and the first lines of the stream are there. */
export async function openEvents(port: number, { query = '', lastEventId }: OpenOptions = {}): Promise<EventReader> {
  const headers = lastEventId === undefined ? {} : { 'Last-Event-ID': String(lastEventId) }
  const request = http.get({ host: '127.0.0.1', port, path: `/events${query}`, headers, agent: false })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  const reader = new EventReader(request, response)
  await reader.until(() => reader.retry !== undefined)
  return reader
}

export class EventReader {
  readonly status: number | undefined
  readonly headers: IncomingHttpHeaders
  readonly events: ServerEvent[] = []
  readonly comments: string[] = []
  /** all bytes that came, as text */
  raw = ''
  /** what a client would send when it connects again */
  lastEventId = ''
  /** ms */
  retry: number | undefined
  isEnded = false
  readonly #request: ClientRequest
  readonly #response: IncomingMessage
  readonly #progress = new EventEmitter().setMaxListeners(0)
  #rest = ''
  #fields = { id: undefined as string | undefined, event: '', data: [] as string[] }

  constructor(request: ClientRequest, response: IncomingMessage) {
    this.status = response.statusCode
    this.headers = response.headers
    this.#request = request
    this.#response = response
    // A connection that is cut ends the stream, and is no failure of the test.
    const end = (): void => {
      this.isEnded = true
      this.#progress.emit('progress')
    }
    request.on('error', end)
    response.on('error', end).on('close', end)
    response.setEncoding('utf8').on('data', (text: string) => {
      this.#read(text)
      this.#progress.emit('progress')
    })
  }

  get ids(): number[] {
    return this.events.map(({ id }) => Number(id))
  }

  get kinds(): string[] {
    return this.events.map(({ event }) => event)
  }

  get names(): string[] {
    return this.events.map(({ data }) => data.task_name)
  }

  /** Resolves once `condition` holds. @throws Error where the stream ends before */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.isEnded) throw new Error(`the stream ended; its last lines were: ${this.raw.slice(-500)}`)
      await once(this.#progress, 'progress')
    }
  }

  /** Resolves with the events so far once there are `count` of them. */
  async have(count: number): Promise<ServerEvent[]> {
    await this.until(() => this.events.length >= count)
    return this.events
  }

  async ended(): Promise<void> {
    while (!this.isEnded) await once(this.#progress, 'progress')
  }

  /** Stops reading from the socket. */
  pause(): void {
    this.#response.pause()
    this.#response.socket.pause()
  }

  resume(): void {
    this.#response.socket.resume()
    this.#response.resume()
  }

  /** Cuts the connection. */
  close(): void {
    this.#request.destroy()
  }

  #read(text: string): void {
    this.raw += text
    const lines = (this.#rest + text).split(/\r\n|\n|\r/)
    this.#rest = lines.pop() ?? ''
    for (const line of lines) this.#readLine(line)
  }

  #readLine(line: string): void {
    if (line === '') {
      this.#dispatch()
      return
    }
    const [, field = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? []
    if (field === '') this.comments.push(value)
    else if (field === 'id') this.#fields.id = value
    else if (field === 'event') this.#fields.event = value
    else if (field === 'data') this.#fields.data.push(value)
    else if (field === 'retry') this.retry = Number(value)
    else throw new Error(`no field of an event stream: ${line}`)
  }

  #dispatch(): void {
    const { id, event, data } = this.#fields
    this.#fields = { id: undefined, event: '', data: [] }
    if (id !== undefined) this.lastEventId = id
    if (data.length > 0) this.events.push({ id: this.lastEventId, event, data: JSON.parse(data.join('\n')) })
  }
}
