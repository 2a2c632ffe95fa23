import { describe, expect, it } from 'vitest'
import manifest from '../../package.json' with { type: 'json' }
import { runCallme } from './run-callme.ts'
import type { Ended } from './run-callme.ts'

/** Runs the real program in a Node.js that gives itself out as another version. */
function runOn(version: string): Promise<Ended> {
  const disguise = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } })`
  return runCallme(['--version'], {}, ['--import', `data:text/javascript,${encodeURIComponent(disguise)}`])
}

describe('the version of Node.js', () => {
  it.each(['10.24.1', '18.20.8', '20.20.2', '21.7.3', '22.17.1'])('%s is refused in one sentence', async (version) => {
    const { code, stdout, stderr } = await runOn(version)
    expect(stderr).toMatch(/^callme needs Node\.js 22\.19 or newer, but [^\n]+\n$/)
    expect(stderr).toContain(version)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  })

  it.each(['22.19.0', '24.0.0', '26.10.0', '30.0.0'])('%s is accepted', async (version) => {
    expect(await runOn(version)).toEqual({ code: 0, stdout: `${manifest.version}\n`, stderr: '' })
  })

  it('that the program asks for is the one that the package declares', () => {
    expect(manifest.engines.node).toBe('>=22.19')
  })
})
