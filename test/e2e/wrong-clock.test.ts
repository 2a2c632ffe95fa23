/** Nodes on machines whose clocks are wrong, on one PostgreSQL database. */
import { expect, test } from 'vitest'
import { createDatabase } from '../support/postgres.ts'
import { Program, clockWrongBy, keyOf } from '../support/program.ts'
import { startReceiver } from '../support/receiver.ts'

const HOUR_MS = 3_600_000

test('two nodes, one an hour ahead and one an hour behind, go by the clock of the database, and say that they are not ready', async () => {
  await using database = await createDatabase()
  const receiver = await startReceiver()
  const start = (wrong: number) => new Program(database.url, [], clockWrongBy(wrong)).started()
  const nodes = await Promise.all([start(HOUR_MS), start(-HOUR_MS)])
  const keys: string[] = []
  for (const [n, node] of nodes.entries()) {
    const body = JSON.stringify({ trigger_at: '+1m', callback: `${receiver.url}/${n}` })
    const stored = await node.json(`/task/of-${n}`, { method: 'PUT', body })
    keys.push(keyOf(stored.body))
  }
  const requests = await receiver.waitFor(2)
  for (const [n, key] of keys.entries()) {
    const request = requests.find(({ url }) => url === `/${n}`)
    const dueAt = Number(key.split('@')[1]) * 1000
    expect(request?.at).toBeGreaterThanOrEqual(dueAt)
    for (const node of nodes) {
      const task = await node.taskIn(key, 'successful')
      const [attempt] = task['history'] as [{ start: string }]
      expect(task['attempts']).toBe(1)
      expect(Math.abs(Date.parse(attempt.start) - dueAt)).toBeLessThan(HOUR_MS / 2)
    }
  }
  for (const node of nodes) {
    const error = expect.stringContaining('that of the database') as string
    expect(await node.json('/ready')).toMatchObject({ status: 503, body: { error } })
    expect((await node.json('/health')).status).toBe(200)
    expect(node.lines.find(({ event }) => event === 'clock.skewed')).toMatchObject({ level: 'warn' })
    node.signal('SIGTERM')
    expect((await node.exited()).code).toBe(0)
  }
  expect(receiver.requests).toHaveLength(2)
  await receiver.close()
})
