import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import SqliteDatabase from 'better-sqlite3'
import { describe, expect, it, onTestFinished } from 'vitest'
import { redact } from '../../src/config/store-url.ts'
import { createDatabase } from '../support/postgres.ts'
import { Program, temporaryFolder } from '../support/program.ts'
import { startReceiver } from '../support/receiver.ts'
import { runCallme } from './run-callme.ts'

/** A callme that has made one call, and another that is not due yet. @returns its store, as a setting */
async function aLiveStore(setting: string): Promise<Program> {
  const receiver = await startReceiver()
  const program = await new Program(setting).started()
  onTestFinished(async () => {
    await program.kill()
    await receiver.close()
  })
  const put = (name: string, trigger: string) =>
    program.json(`/task/${name}`, { method: 'PUT', body: JSON.stringify({ trigger_at: trigger, callback: receiver.url }) })
  await put('later', '+2h')
  const { body } = await put('now', '+0m')
  await program.taskIn(`now@${(body['task'] as { trigger_at: string }).trigger_at}`, 'successful')
  return program
}

describe('callme verify', () => {
  it.each(['sqlite', 'postgres'])('reads the store of a callme that is running: %s', async (kind) => {
    using folder = temporaryFolder()
    await using database = kind === 'postgres' ? await createDatabase() : undefined
    const setting = database?.url ?? `sqlite:${join(folder.path, 'callme.db')}`
    const program = await aLiveStore(setting)
    const { code, stdout, stderr } = await runCallme(['verify', '--json'], { CALLME_STORE: setting })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(JSON.parse(stdout)).toMatchObject({ ok: true, due: 1, on_time: 1, not_due: 1, lateness: { attempts: 1 } })
    const { body } = await program.json('/lateness?name=now')
    expect(body).toMatchObject({ attempts: 1, p50: (JSON.parse(stdout) as { lateness: { p50: number } }).lateness.p50 })
    const text = await runCallme(['verify', '--store', setting, '--from', '-1h', '--to', '2100-01-01 09:00', '--timezone', 'Europe/Berlin'])
    expect(text.stdout).toMatch(
      /\ndue {20}1\n {2}on time {14}1\n[^]*\nnot due yet {12}1\n\nlateness of 1 attempt, [^\n]*\nstarted more than 1 s late: \d, more than 10 s: \d, more than 60 s: \d\n\nevery promise was kept\n$/,
    )
    expect(text.stdout).not.toContain('callme@')
    await program.kill()
  })

  it('exits with 1 and lists what was broken', async () => {
    using folder = temporaryFolder()
    const path = join(folder.path, 'callme.db')
    const program = await aLiveStore(`sqlite:${path}`)
    await program.kill()
    const db = new SqliteDatabase(path)
    db.exec('UPDATE attempts SET started_at = deadline + 7')
    db.close()
    const { code, stdout, stderr } = await runCallme(['verify', '--store', `sqlite:${path}`])
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' })
    expect(stdout).toMatch(/\n {2}late {17}1\n/)
    expect(stdout).toMatch(
      /\npromises were broken: late 1\n {2}late {2}now@\d+ {2}attempt 1 started at [^\n]+, its window closed at [^\n]+\n$/,
    )
  })

  it.each([
    [['--from', 'yesterday'], 2, /^callme: --from must be a Unix time in seconds or an RFC 3339 time such as [^\n]*; got "yesterday"\n$/],
    [['--from', '1800000060', '--to', '1800000000'], 2, /^callme: --from must be before --to; got 1800000060 and 1800000000\n$/],
    [
      ['--to', '2100-01-01 09:00'],
      2,
      /^callme: --to must be a time with an offset [^\n]* where no timezone is given; got "2100-01-01 09:00"\n$/,
    ],
    [['--timezone', 'Berlin'], 2, /^callme: --timezone must be the name of an IANA time zone [^\n]*; got "Berlin"\n$/],
    [['--too', '5'], 2, /unknown option '--too'[^]*--to/],
    [['--store', 'sqlite:none/none.db'], 1, /^callme: cannot open none\/none\.db: [^\n]+\n$/],
    [['--store', 'sqlite:none.db'], 1, /^callme: cannot open none\.db: it does not exist\n$/],
    [['--store', 'sqlite:src'], 1, /^callme: cannot open src: it is a folder and no file\n$/],
    [['--store', 'sqlite:package.json'], 1, /^callme: cannot open package\.json: it is not a database[^\n]*\n$/],
    [['--store', 'postgres://127.0.0.1:9/none'], 1, /^callme: [^\n]*\n$/],
  ])('says what is wrong with %s', async (args, code, says) => {
    const ended = await runCallme(['verify', ...args])
    expect(ended.stderr).toMatch(says)
    expect(ended).toMatchObject({ code, stdout: '' })
  })

  it('goes by no other setting than the store, and still refuses a name that is none', async () => {
    using folder = temporaryFolder()
    const path = join(folder.path, 'callme.db')
    const program = await aLiveStore(`sqlite:${path}`)
    const env = { CALLME_STORE: `sqlite:${path}`, CALLME_LISTEN: '0.0.0.0:6777', CALLME_TIMEOUT: 'soon' }
    expect(await runCallme(['verify'], env)).toMatchObject({ code: 0, stderr: '' })
    expect(await runCallme(['verify'], { ...env, CALLME_STROE: 'x' })).toMatchObject({ code: 2, stdout: '' })
    await program.kill()
  })

  it('says where there is no store, and never offers to make one', async () => {
    using folder = temporaryFolder()
    await using database = await createDatabase()
    const path = join(folder.path, 'empty.db')
    writeFileSync(path, '')
    for (const [store, name] of [
      [`sqlite:${path}`, path],
      [database.url, redact(database.url)],
    ] as const) {
      const { code, stderr } = await runCallme(['verify', '--store', store])
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: `callme: the store ${name} is empty: no callme has ever stored anything there\n`,
      })
    }
  })

  it('says that an older store must be brought up to date by a start, and a newer one needs the newer callme', async () => {
    using folder = temporaryFolder()
    const path = join(folder.path, 'callme.db')
    const db = new SqliteDatabase(path)
    for (const [version, says] of [
      [2, /schema version 2, this callme needs version \d+: start this callme on it once/],
      [99, /schema version 99, this callme knows versions up to \d+/],
    ] as const) {
      db.pragma(`user_version = ${version}`)
      const { code, stderr } = await runCallme(['verify', '--store', `sqlite:${path}`])
      expect(stderr).toMatch(says)
      expect(code).toBe(1)
    }
    db.close()
  })
})
