import { defineConfig } from 'vitest/config'

// Not inherited by the projects, so that there is one server and one seed for both.
const globalSetup = ['test/support/postgres-global-setup.ts', 'test/support/seed-global-setup.ts']

export default defineConfig({
  test: {
    globalSetup,
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
