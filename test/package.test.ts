import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import manifest from '../package.json' with { type: 'json' }
import { PAGES } from '../schema/docs-tables.ts'

const CHECKOUT = fileURLToPath(new URL('..', import.meta.url))

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

  // npm itself goes by the version of the machine, which only the installed package "node" puts right.
  it('installs on an older Node.js without a word about its version', () => {
    const older = `data:text/javascript,${encodeURIComponent("Object.defineProperty(process, 'version', { value: 'v20.20.2' })")}`
    const env = { ...process.env, NODE_OPTIONS: `--import=${older}` }
    const { status, stderr } = spawnSync('npm', ['ci', '--dry-run', '--offline'], { cwd: CHECKOUT, encoding: 'utf8', env })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  })

  it('brings the README and every page, where the links between them lead', () => {
    const report = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      cwd: CHECKOUT,
      encoding: 'utf8',
      stdio: 'pipe',
    })
    const [packed] = JSON.parse(report) as { files: { path: string }[] }[]
    const paths = packed?.files.map(({ path }) => path)
    expect(PAGES.length).toBeGreaterThan(10)
    expect(paths).toEqual(expect.arrayContaining([...PAGES]))
    expect(paths?.filter((path) => path.startsWith('src/') && !path.endsWith('.md'))).toEqual([])
  })
})
