// npm run build --workspace cli: bundles the command with all that it needs into dist/, for Node 20 or newer.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'

const folder = join(import.meta.dirname, '..')

/** Writes `user-directory.js`, and the parts that load on first use, to an ECMAScript package. */
export async function buildCommand(outdir: string): Promise<void> {
  await build({
    entryPoints: { 'user-directory': join(folder, 'src/main.ts') },
    outdir,
    bundle: true,
    // The questions load on first use.
    splitting: true,
    minify: true,
    platform: 'node',
    target: 'node20.12',
    format: 'esm',
    // Some packages are CommonJS, and load Node's modules with `require`.
    banner: {
      js: `import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url)`,
    },
  })
}

if (import.meta.main) {
  const dist = join(folder, 'dist')
  await rm(dist, { recursive: true, force: true })
  await buildCommand(dist)
}
