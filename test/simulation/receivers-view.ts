/** What an answer means, in the words of the contract and not in those of the code. */
import type { TaskDefinition } from '../../src/domain/task/task.ts'

export function isExpectedStatus(status: number, expected: TaskDefinition['expected_http_status'] = 200): boolean {
  return [expected].flat().some((one) => (typeof one === 'string' ? Math.floor(status / 100) === Number(one[0]) : one === status))
}

/** A success that was not expected, or 4xx, but for those that ask to come again. */
export function isTheLastAnswer(status: number): boolean {
  return Math.floor(status / 100) === 2 || (Math.floor(status / 100) === 4 && ![408, 425, 429].includes(status))
}
