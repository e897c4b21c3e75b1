// npm run test:chart: lints and renders the Helm chart. Needs helm on the PATH.
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: { root: `${import.meta.dirname}/../..`, include: ['test/chart/*.proof.ts'], allowOnly: false },
})
