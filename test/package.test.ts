import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import manifest from '../package.json' with { type: 'json' }

interface LockedPackage {
  readonly resolved?: string
  readonly gypfile?: boolean
}

const lock = JSON.parse(readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8')) as {
  packages: Record<string, LockedPackage>
}

describe('the package', () => {
  it('names an exact version of everything it depends on', () => {
    for (const [name, version] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })) {
      expect(version, name).toMatch(/^\d+\.\d+\.\d+(-beta\.\d+)?$/)
    }
  })

  it('has a lockfile that works with every registry', () => {
    const addressed = Object.entries(lock.packages).filter(([, entry]) => entry.resolved !== undefined)
    expect(addressed).toEqual([])
  })

  // npm before 11 knows no allowScripts and would compile better-sqlite3, which needs Python and the headers of Node.js, although its
  // package brings binaries and says so. `npm install` drops the line that prevents this.
  it('installs without a compiler: better-sqlite3 in package-lock.json has "gypfile": false', () => {
    expect(lock.packages['node_modules/better-sqlite3']?.gypfile).toBe(false)
  })
})
