/** The same call by node:http alone, and no more around it than any program needs: what a call costs at the least. */
import http from 'node:http'
import type { CallRequest } from '../../../src/caller/caller.ts'

const agent = new http.Agent({ keepAlive: true, scheduling: 'lifo', maxFreeSockets: Infinity })

/** Resolves once the answer has been read. */
export function bareCall({ url, method, headers, body }: CallRequest): Promise<{ status: number | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, headers, agent }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.once('end', () => {
        resolve({ status: response.statusCode, body: Buffer.concat(chunks).toString() })
      })
    })
    request.once('error', reject)
    request.end(body)
  })
}
