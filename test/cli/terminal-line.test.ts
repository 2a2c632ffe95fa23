import { describe, expect, it } from 'vitest'
import { CallmeError } from '../../src/domain/errors.ts'
import { createLog, type Log } from '../../src/telemetry/log.ts'

/** What a terminal shows of a log, without colours and without the time. */
function shown(work: (log: Log) => void): string[] {
  const written: string[] = []
  work(createLog('info', { isTTY: true, write: (line) => written.push(line) }))

  return written.map((line) => line.replaceAll(/\x1b\[\d+m/g, '').replace(/^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\] /, ''))
}

describe('the log at a terminal', () => {
  it('is one line for each event, after the local time with its zone, also for success', () => {
    const fields = { task: 'first@1795205040', run_id: 'x', attempt: 1, node: 'n', status: 200, error: null }
    expect(
      shown((log) => {
        log.debug('task.stored', { task: 'first@1795205040' })
        log.debug('task.claimed', fields)
        log.debug('task.successful', fields)
        log.warn('task.failed', { ...fields, status: 500, error: 'answered 500,\n\u001b[2J' })
        log.error('tick.failed', { err: new CallmeError('store_unavailable', 'the disk is full') })
        log.error('request.failed', { err: new TypeError('a defect') })
      }).map((line) => line.replace(/ at .*/, '')),
    ).toEqual([
      'INFO: task.stored first@1795205040\n',
      'INFO: task.successful first@1795205040 attempt=1 status=200\n',
      'WARN: task.failed first@1795205040 attempt=1 status=500 error="answered 500,\\n\\u001b[2J"\n',
      'ERROR: tick.failed err="the disk is full"\n',
      expect.stringMatching(/^ERROR: request\.failed err="TypeError: a defect\\n\s*\n$/),
    ])
  })

  it('says what has started, with its store, and for what a stop waits', () => {
    const node = { version: '1.2.3', address: 'http://127.0.0.1:6777', store: '/var/callme.db', pid: 7 }
    expect(
      shown((log) => {
        log.info('node.started', { ...node, is_new: true, waiting: 0 })
        log.info('node.started', { ...node, is_new: false, waiting: 1 })
        log.info('node.stopping', { calls: 2, timeout_s: 20 })
        log.info('node.stopping', { calls: 0, timeout_s: 20 })
      }),
    ).toEqual([
      'INFO: callme 1.2.3 listens on http://127.0.0.1:6777; its store is new: /var/callme.db\n',
      'INFO: callme 1.2.3 listens on http://127.0.0.1:6777; 1 task waits in its store: /var/callme.db\n',
      'INFO: callme stops; it waits up to 20 s for 2 calls under way, and a second signal ends it at once\n',
      'INFO: callme stops; no call is under way\n',
    ])
  })
})
