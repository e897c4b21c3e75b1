// npm run screenshots: takes the pictures of docs/console.md, with the servers of the tests.
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    root: `${import.meta.dirname}/../..`,
    include: ['console/screenshots/take.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    setupFiles: ['test/support/file-end.ts'],
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
})
