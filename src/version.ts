/** Which callme this is. */
import { createRequire } from 'node:module'

// By the package's own name: the path differs between `src` and the built `dist/src`.
const manifest = createRequire(import.meta.url)('callme/package.json') as { version: string }

export const VERSION = manifest.version
