// npm run build --workspace cli: bundles the command with all that it needs into dist/, for Node 20 or newer.
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'
import { licencesOf } from './licences.ts'

const folder = join(import.meta.dirname, '..')

/** Writes `user-directory.js`, the parts that load on first use, and the packages' licences. */
export async function buildCommand(outdir: string): Promise<void> {
  const { metafile } = await build({
    entryPoints: { 'user-directory': join(folder, 'src/main.ts') },
    outdir,
    bundle: true,
    // The questions load on first use.
    splitting: true,
    minify: true,
    platform: 'node',
    target: 'node20.12',
    format: 'esm',
    metafile: true,
    // THIRD-PARTY-LICENSES.txt has the texts of whole packages, also of those without a notice in their code.
    legalComments: 'none',
    // Some packages are CommonJS, and load Node's modules with `require`.
    banner: {
      js: `import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url)`,
    },
  })
  await writeFile(join(outdir, 'THIRD-PARTY-LICENSES.txt'), await licencesOf(metafile))
}

if (import.meta.main) {
  const dist = join(folder, 'dist')
  await rm(dist, { recursive: true, force: true })
  await buildCommand(dist)
}
