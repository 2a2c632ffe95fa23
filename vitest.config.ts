import { defineConfig } from 'vitest/config'
import { BaseSequencer } from 'vitest/node'
import type { TestSpecification } from 'vitest/node'

// Not inherited by the projects, so that there is one server and one seed for both.
const globalSetup = ['test/support/postgres-global-setup.ts', 'test/support/seed-global-setup.ts']

/** Files that take a minute or more, most of it in waiting: whichever begins last, all wait for in the end. */
const LONG = [
  ...['store/postgres', 'store/postgres-second-half', 'e2e/nodes-share', 'chaos/chaos', 'e2e/kill-follow-ups', 'e2e/kill'],
  ...['simulation/simulation', 'e2e/nodes-database', 'store/sqlite'],
].map((name) => `test/${name}.test.ts`)

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const index = LONG.findIndex((name) => moduleId.endsWith(name))
      return index === -1 ? LONG.length : index
    }
    return (await super.sort(files)).sort((one, other) => rank(one) - rank(other))
  }
}

export default defineConfig({
  test: {
    globalSetup,
    sequence: { sequencer: LongestFirst },
    // Much of what the tests do is to wait for other processes.
    maxWorkers: 3,
    projects: [
      {
        test: {
          name: 'unit',
          pool: 'forks',
          include: ['test/**/*.test.ts'],
          exclude: ['test/e2e/**', 'test/bench/**'],
          testTimeout: 30_000,
        },
      },
      { test: { name: 'e2e', pool: 'forks', include: ['test/e2e/**/*.test.ts'], testTimeout: 300_000, hookTimeout: 60_000 } },
    ],
  },
})
