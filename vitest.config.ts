import { defineConfig } from 'vitest/config'
import { LongestFirst } from './test/support/longest-first.ts'

const include = ['test/**/*.test.ts', '{infra,client,cli,console}/test/**/*.test.ts']

// They replace a module, keep one that has read the environment, change settings of the process, count its children or
// import other test files.
const isolated = [
  'test/connection/aws/iam-token.test.ts',
  'test/connection/cognito/user-pool-function.test.ts',
  'test/connection/redis/client.test.ts',
  'test/connection/tokens/openid-provider-function.test.ts',
  'test/handler/lambda/{http,rest}-api.test.ts',
  'test/services/avatars/image-decoder.test.ts',
  'test/services/identity/check-password.test.ts',
  'test/services/import/hostile-files.test.ts',
]

export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    pool: 'forks',
    // Each file starts servers of its own; more at once than this only wait for each other.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    allowOnly: false,
    reporters: process.env.VITEST_JSON
      ? ['default', ['json', { outputFile: process.env.VITEST_JSON }]]
      : ['default'],
    projects: [
      project({ name: 'isolated', isolate: true, include: isolated }),
      // Files that share a process load each module once, which saves a third of the processor time.
      project({ name: 'shared', isolate: false, include, exclude: isolated }),
    ],
  },
})

function project(own: { name: string; isolate: boolean; include: string[]; exclude?: string[] }) {
  return {
    test: {
      ...own,
      pool: 'forks' as const,
      setupFiles: ['test/support/file-end.ts', 'test/support/property-seed.ts'],
      testTimeout: 120_000,
      hookTimeout: 120_000,
    },
  }
}
