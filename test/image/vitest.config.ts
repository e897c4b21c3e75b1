// npm run test:image: builds the image without a daemon, and runs it. Needs Linux, root, buildah and runc.
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    root: `${import.meta.dirname}/../..`,
    include: ['test/image/*.proof.ts'],
    globalSetup: ['test/support/global-setup.ts', 'test/image/build.ts'],
    setupFiles: ['test/support/file-end.ts'],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    allowOnly: false,
    reporters: ['default'],
  },
})
