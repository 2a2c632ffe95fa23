/** Nodes on one PostgreSQL go by its clock: one that is two minutes wrong does as the others do, and says what is wrong with it. */
import { expect, test } from 'vitest'
import { startHolder } from '../support/holder.ts'
import { IN_WINDOW, Nodes, WINDOW, ask, storedAttempts } from '../support/nodes.ts'
import { createDatabase } from '../support/postgres.ts'
import { clockWrongBy } from '../support/program.ts'

const WRONG_MS = 120_000
const TASKS = 3 * WINDOW

test('with one node two minutes ahead and one two minutes behind, each minute is the one of the database for all', async () => {
  await using database = await createDatabase()
  await using nodes = new Nodes(database.url, IN_WINDOW)
  const [right, ahead, behind] = [await nodes.join(), await nodes.join(clockWrongBy(WRONG_MS)), await nodes.join(clockWrongBy(-WRONG_MS))]
  const timeOfDatabase = async (): Promise<number> => {
    const [row] = await database.query('SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now')
    return Number(row?.['now'])
  }
  const holder = await startHolder()
  const stored = []
  for (let n = 0; n < TASKS; n += 1) {
    const program = [right, ahead, behind][n % 3] ?? right
    const from = await timeOfDatabase()
    const body = JSON.stringify({ trigger_at: '+1m', max_delay: 1, timeout: 300, callback: holder.url })
    const answer = await program.json(`/task/timed-${n}`, { method: 'PUT', body })
    stored.push({ ...(answer.body['task'] as Record<string, string>), from, to: await timeOfDatabase() })
  }
  for (const { created, trigger_at: triggerAt, from, to } of stored as (Record<string, string> & { from: number; to: number })[]) {
    // By half of what it would be wrong by, if it went by its own clock.
    expect(Math.abs(Date.parse(created ?? '') - (from + to) / 2)).toBeLessThan(WRONG_MS / 2)
    expect([minuteAfter(from), minuteAfter(to)]).toContain(Number(triggerAt))
  }

  // All of these are under way only when each node has made as many calls as it may.
  const calls = await holder.waitFor(TASKS)
  for (const { at, headers } of calls) {
    const dueAt = Number(headers['callme-trigger-at']) * 1000
    expect(at).toBeGreaterThanOrEqual(dueAt)
    expect(at).toBeLessThan(dueAt + 60_000)
  }
  const answers = await Promise.all([right, ahead, behind].map(({ url }) => ask(`${url}/ready`)))
  expect(answers.map((answer) => answer?.status)).toEqual([200, 503, 503])
  expect(answers[1]?.body['error']).toMatch(/^the clock of this machine is 1[12]\d\.\d s ahead of that of the database/)
  expect(answers[2]?.body['error']).toMatch(/^the clock of this machine is 1[12]\d\.\d s behind that of the database/)
  expect(answers[1]?.headers.get('Retry-After')).toBe('5')

  for (const { url, lines } of [ahead, behind]) {
    expect((await ask(`${url}/health`))?.status).toBe(200)
    expect(lines.find(({ event }) => event === 'clock.skewed')).toMatchObject({ level: 'warn' })
  }

  holder.release()
  await nodes.leaveAll()
  const attempts = await storedAttempts(database)
  expect(new Set(attempts.map(({ node }) => node)).size).toBe(3)
  expect(attempts.map(({ status, number }) => [status, number])).toEqual(calls.map(() => [200, 1]))
  expect(holder.requests).toHaveLength(TASKS)
  await holder.close()
})

/** @param now epoch ms @returns Unix seconds */
function minuteAfter(now: number): number {
  return (Math.floor(now / 60_000) + 1) * 60
}
