/** A host that takes every connection and never answers. */
import { createServer } from 'node:net'
import { listen } from './listen.ts'

export interface SilentHost extends Disposable {
  readonly port: number
}

/** On every address of this machine, so that it can be as many hosts as there are. */
export async function startSilentHost(): Promise<SilentHost> {
  // What is sent is read, or the end of a connection would not be seen.
  const server = createServer((socket) => void socket.on('error', () => undefined).resume())
  const { port } = new URL(`http://${await listen(server, '0.0.0.0')}`)
  return {
    port: Number(port),
    [Symbol.dispose]: () => void server.close(),
  }
}
