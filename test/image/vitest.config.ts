// npm run test:image: builds the image without a daemon, and runs it. Needs Linux, root, buildah and runc.
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    root: `${import.meta.dirname}/../..`,
    include: ['test/image/*.proof.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    testTimeout: 120_000,
    hookTimeout: 900_000,
    allowOnly: false,
    reporters: ['default'],
  },
})
