import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { configTable } from '../../src/cli/commands/config.ts'
import { SETTINGS, effectiveSettings } from '../../src/config/settings.ts'
import { temporaryFolder } from '../support/program.ts'
import { runCallme } from './run-callme.ts'

describe('callme config', () => {
  it('prints every setting as JSON where the output is not a terminal', async () => {
    const { code, stdout, stderr } = await runCallme(['config'])
    const defaults = Object.fromEntries(SETTINGS.map((setting) => [setting.name, setting.default ?? null]))
    expect(JSON.parse(stdout)).toEqual(defaults)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })

  it('prints what flags and environment make of the settings', async () => {
    const env = { CALLME_TIMEOUT: '20', CALLME_RETENTION: '0', CALLME_NO_AUTH: '1' }
    const { stdout } = await runCallme(['config', '--json', '--timeout=30', '--listen', ':7000'], env)
    expect(JSON.parse(stdout)).toMatchObject({ timeout: 30, retention: 0, 'no-auth': true, listen: ':7000' })
  })

  it('prints the store without its password, and a chat without its path', async () => {
    const secrets = { CALLME_STORE: 'postgres://me:hush@db/tasks', CALLME_ON_FAILURE: 'https://chat.test/hook/hush' }
    const { stdout } = await runCallme(['config'], secrets)
    expect(JSON.parse(stdout)).toMatchObject({ store: 'postgres://me:***@db/tasks', 'on-failure': 'https://chat.test/***' })
    expect(configTable(effectiveSettings({ store: 'postgres://db/tasks?password=hush' }, {}))).not.toContain('hush')
  })

  it('reads the store from a file where the environment names one', async () => {
    using folder = temporaryFolder()
    const [file, blank] = [join(folder.path, 'store'), join(folder.path, 'blank')]
    writeFileSync(file, 'postgres://me:hush@db/tasks\n')
    writeFileSync(blank, '\n')
    const run = (env: Record<string, string>, ...flags: string[]) => runCallme(['config', ...flags], env)

    const shown = await run({ CALLME_STORE_FILE: file, CALLME_STORE: '' })
    expect(JSON.parse(shown.stdout)).toMatchObject({ store: 'postgres://me:***@db/tasks' })
    const flagged = await run({ CALLME_STORE_FILE: join(folder.path, 'none') }, '--store=sqlite:a.db')
    expect(JSON.parse(flagged.stdout)).toMatchObject({ store: 'sqlite:a.db' })
    const unset = await run({ CALLME_STORE_FILE: '' })
    expect(JSON.parse(unset.stdout)).toMatchObject({ store: 'sqlite:callme.db' })

    const refused: [Record<string, string>, RegExp][] = [
      [{ CALLME_STORE_FILE: file, CALLME_STORE: 'sqlite:a.db' }, /^callme: CALLME_STORE and CALLME_STORE_FILE are both set: [^\n]+\n$/],
      [{ CALLME_STORE_FILE: join(folder.path, 'none') }, /^callme: the file of CALLME_STORE_FILE cannot be read: ENOENT[^\n]+none'\n$/],
      [{ CALLME_STORE_FILE: folder.path }, /^callme: the file of CALLME_STORE_FILE cannot be read: [^\n]+ is a folder\n$/],
      [{ CALLME_STORE_FILE: blank }, /^callme: the file of CALLME_STORE_FILE is empty: [^\n]+blank\n$/],
    ]
    for (const [env, says] of refused) {
      const { code, stdout, stderr } = await run(env)
      expect(stderr).toMatch(says)
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    }
  })

  it('takes --no-auth as a flag of its own', async () => {
    const { stdout } = await runCallme(['config', '--no-auth', '--listen', '0.0.0.0:80'])
    expect(JSON.parse(stdout)).toMatchObject({ 'no-auth': true, listen: '0.0.0.0:80' })
  })

  it('says in its table who gave each value', () => {
    const lines = configTable(effectiveSettings({ timeout: '30' }, { CALLME_RETENTION: '7' })).split('\n')
    expect(lines).toContainEqual(expect.stringMatching(/^timeout +30 +flag$/))
    expect(lines).toContainEqual(expect.stringMatching(/^retention +7 +environment$/))
    expect(lines).toContainEqual(expect.stringMatching(/^listen +127\.0\.0\.1:6777 +default$/))
    expect(lines).toContainEqual(expect.stringMatching(/^max-inflight-per-host +- +default$/))
  })
})
