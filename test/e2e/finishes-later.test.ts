/** The lines of `src/docs/long-work.md` work one after the other as they stand, on the real program. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { readCurl } from '../support/curl.ts'
import { Program, temporaryFolder } from '../support/program.ts'
import { startReceiver } from '../support/receiver.ts'

const PAGE = readFileSync(new URL('../../src/docs/long-work.md', import.meta.url), 'utf8')
/** Two years ahead: the minute that the page calls 1893456000. */
const MINUTE = Date.UTC(new Date().getUTCFullYear() + 2, 0, 1) / 1000

test('a task is made and run, is running as shown, and ends when it is acknowledged', async () => {
  const folder = temporaryFolder()
  const receiver = await startReceiver()
  const program = new Program(join(folder.path, 'callme.db'))
  onTestFinished(async () => {
    await program.kill()
    await receiver.close()
    folder[Symbol.dispose]()
  })
  await program.started()
  const [put, run, read, acknowledge, ...others] = [...PAGE.matchAll(/^curl .+$/gm)].map(([line]) =>
    line
      .replaceAll('127.0.0.1:6777', new URL(program.url).host)
      .replaceAll('http://127.0.0.1:8321', receiver.url)
      .replaceAll('1893456000', String(MINUTE)),
  )
  expect(others).toEqual([])
  const send = async (line = '') => {
    const response = await fetch(readCurl(line))
    return { status: response.status, text: await response.text() }
  }

  expect((await send(put)).status).toBe(201)
  expect((await send(run)).status).toBe(202)
  expect(await receiver.waitFor(1)).toMatchObject([{ url: '/export', headers: { 'callme-task': `export@${MINUTE}` } }])
  const { text } = await send(read)
  const [, shown = ''] = /\n```json\n([^`]+)```/.exec(PAGE) ?? []
  expect(shown.trim()).not.toBe('')
  for (const line of shown.trimEnd().split('\n')) expect(text).toContain(`\n${line}\n`)
  expect((await send(acknowledge)).status).toBe(200)
  expect(await program.taskIn(`export@${MINUTE}`, 'successful')).toMatchObject({ response_body: '{"rows":7}', attempts: 1 })
})
