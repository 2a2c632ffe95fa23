/** Starts the command line: from its TypeScript in a checkout, from the built `dist` in an installed package. */
import { existsSync } from 'node:fs'

const source = new URL('../src/cli/main.ts', import.meta.url)
const built = new URL('../dist/src/cli/main.js', import.meta.url)
// Node.js runs no TypeScript below node_modules.
const inCheckout = existsSync(source) && !source.pathname.includes('/node_modules/')

await import((inCheckout ? source : built).href)
