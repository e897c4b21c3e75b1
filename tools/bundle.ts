// How the packages are bundled: ES modules, split so that what few requests need is loaded by those alone.
import { type BuildOptions, build, type Metafile } from 'esbuild'

export async function bundle(options: BuildOptions): Promise<Metafile> {
  const { metafile } = await build({
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    // As Node itself would not: packages' ES modules, of which unused parts are left out, and whose names
    // an `import()` finds.
    mainFields: ['module', 'main'],
    minify: true,
    sourcemap: true,
    // CommonJS packages in an ES module need a `require`.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    ...options,
    external: [...(options.external ?? []), 'pg-native'],
    metafile: true,
  })
  return metafile
}

export function reportSizes({ outputs }: Metafile): void {
  const sizes = Object.entries(outputs)
    .filter(([file]) => file.endsWith('.js'))
    .map(([file, { bytes }]) => [file, Math.ceil(bytes / 1024)] as const)
    .sort(([, a], [, b]) => b - a)
  for (const [file, kilobytes] of sizes.slice(0, 12))
    process.stdout.write(`${String(kilobytes).padStart(6)} KB  ${file}\n`)
  process.stdout.write(
    `${String(sizes.reduce((sum, [, kilobytes]) => sum + kilobytes, 0)).padStart(6)} KB  in ${sizes.length} files\n`,
  )
}
