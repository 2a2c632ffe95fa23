/** Ports for benches: below those that the system gives to outgoing connections, which come by the ten thousand. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { Server } from 'node:net'

const [LOWEST, HIGHEST] = [20_000, 32_000]

/** Listens on a free port of 127.0.0.1, or of another address of this machine. @returns where, as `host:port` */
export async function listen(server: Server, host = '127.0.0.1'): Promise<string> {
  for (;;) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST))
    try {
      server.listen(port, host)
      await once(server, 'listening')
      return `${host}:${port}`
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    }
  }
}

/** A place, as `host:port`, where another process can listen. */
export async function freePlace(): Promise<string> {
  const server = createServer()
  const place = await listen(server)
  server.close()
  await once(server, 'close')
  return place
}
