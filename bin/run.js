/** Starts the command line: from its TypeScript in a checkout, from the built `dist` in an installed package. */
import { existsSync } from 'node:fs'
import { enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'

const source = new URL('../src/cli/main.ts', import.meta.url)
const built = new URL('../dist/src/cli/main.js', import.meta.url)
// Node.js runs no TypeScript below node_modules.
const inCheckout = existsSync(source) && !source.pathname.includes('/node_modules/')

if (inCheckout) {
  // From the second start on nothing is compiled anew, and no thread holds the reader of TypeScript in memory. Worker threads
  // know the variable alone.
  process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL('../node_modules/.cache/compile', import.meta.url))
  enableCompileCache()
}

// Node resolves names on four threads unless it is told otherwise before their first use: a few hosts whose name servers do
// not answer would hold up the calls to every other host.
process.env.UV_THREADPOOL_SIZE ??= '64'

// Node opens the port of its debugger at this signal, which logrotate and supervisors send to have logs opened again.
process.on('SIGUSR1', () => undefined)

await import((inCheckout ? source : built).href)
