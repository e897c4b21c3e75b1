import { BaseSequencer, type TestSpecification } from 'vitest/node'

// Without durations of an earlier run, vitest starts large files first. These are small, and would end a run alone.
const longest = [
  'test/services/import/torture.test.ts',
  'test/services/users/list-plans.test.ts',
  'test/handler/node/server.test.ts',
  'test/dev/embedded-postgres.test.ts',
  'test/services/outbox/relay.test.ts',
  'test/services/users/concurrency.test.ts',
  'console/test/users.test.ts',
  'test/services/bulk/killed.test.ts',
  'console/test/many-users.test.ts',
  // Not beside the first ones, which use the processors fully.
  'test/connection/cache/torture.test.ts',
]

/** Starts the longest files first. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification) => longest.some((name) => moduleId.endsWith(`/${name}`))
    const sorted = await super.sort(files)
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))]
  }
}
