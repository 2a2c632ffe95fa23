/** Makes the first real call as quick as later ones: makes calls to a server of its own, so that all code of a call is compiled. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { httpCall } from './http-call.ts'

const CALLS = 20
const TIMEOUT_MS = 1000

/** Resolves when the code is compiled. @throws the error of a machine that refuses the server */
export async function warmUp(): Promise<void> {
  const server = createServer((_, response) => response.end('warm'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  for (let call = 0; call < CALLS; call += 1) {
    const window = { dueAt: 0, deadline: Infinity, claimedAt: 0, leaseUntil: Infinity }
    await httpCall({ url, method: 'POST', headers: {}, body: 'warm', timeoutMs: TIMEOUT_MS, ...window, mayReuseConnection: true })
  }
  server.closeAllConnections()
  server.close()
}
