import { once } from 'node:events'
import { createServer } from 'node:net'
import type { ListenOptions } from 'node:net'
import { describe, expect, it } from 'vitest'
import { describeFailure } from '../../src/cli/terminal/failure.ts'
import { CallmeError } from '../../src/domain/errors.ts'
import { runCallme } from './run-callme.ts'

async function failToListen(options: ListenOptions): Promise<unknown> {
  const server = createServer().listen(options)
  const [error] = (await once(server, 'error')) as [unknown]
  return error
}

describe('what a failed start says', () => {
  it('is the sentence of an expected error, without a stack', () => {
    expect(describeFailure(new CallmeError('store_in_use', 'the store is in use'))).toEqual({
      message: 'callme: the store is in use',
      exitCode: 1,
    })
  })

  it('is one line for each bad setting, with the exit code of wrong usage', () => {
    expect(describeFailure(new CallmeError('bad_config', 'a\nb'))).toEqual({ message: 'callme: a\ncallme: b', exitCode: 2 })
  })

  it('names the address that is taken', async () => {
    const first = createServer().listen(0, '127.0.0.1')
    await once(first, 'listening')
    const address = first.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const { message, exitCode } = describeFailure(await failToListen({ host: '127.0.0.1', port }))
    first.close()
    expect(message).toMatch(new RegExp(`^callme: cannot listen on 127\\.0\\.0\\.1:${port}: [^\\n]*--listen$`))
    expect(exitCode).toBe(1)
  })

  it('names the address that the machine does not have', async () => {
    const { message } = describeFailure(await failToListen({ host: '192.0.2.1', port: 6777 }))
    expect(message).toMatch(/^callme: cannot listen on 192\.0\.2\.1:6777: this machine has no such address/)
  })

  it('is one line, without its password, about a PostgreSQL that is not there', async () => {
    const { code, stdout, stderr } = await runCallme(['serve', '--listen=127.0.0.1:0', '--store=postgres://me:hush@127.0.0.1:1/tasks'])
    expect(stderr).toMatch(/^callme: cannot open the store postgres:\/\/me:\*\*\*@127\.0\.0\.1:1\/tasks: [^\n]*127\.0\.0\.1:1[^\n]*\n$/)
    expect(stderr).not.toContain('hush')
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  })

  it('is the stack where the program itself is wrong', () => {
    expect(describeFailure(new TypeError('x is not a function')).message).toMatch(/TypeError: x is not a function\n.+ at /)
  })
})
