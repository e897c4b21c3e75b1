// Bundles code with esbuild into ES modules, split so that rarely needed parts are loaded on demand.
import { readFile } from 'node:fs/promises'
import { dirname, relative, resolve, sep } from 'node:path'
import { type BuildOptions, build, type Metafile, type Plugin } from 'esbuild'

export async function bundle(options: BuildOptions): Promise<Metafile> {
  const { metafile } = await build({
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    // Prefers the ES modules of packages, unlike Node. esbuild can remove their unused parts.
    mainFields: ['module', 'main'],
    minify: true,
    sourcemap: true,
    // CommonJS packages need `require`, mostly for Node's own modules. Each file has this line, so it defers all work to
    // the first call.
    banner: {
      js: "const require = (id) => process.getBuiltinModule(id) ?? process.getBuiltinModule('node:module').createRequire(import.meta.url)(id);",
    },
    ...options,
    external: [...(options.external ?? []), 'pg-native'],
    metafile: true,
  })
  return metafile
}

/**
 * Bundles one entry so that its start loads one file instead of a dozen. Each file costs half a millisecond.
 * esbuild merges modules that the same parts import, so each part loaded later gets an import of the entry.
 */
export async function bundleTogether(name: string, entry: string, options: BuildOptions): Promise<Metafile> {
  const own: BuildOptions = { ...options, entryPoints: { [name]: entry } }
  const { inputs } = await bundle({ ...own, write: false })
  const later = new Set(
    Object.values(inputs)
      .flatMap(({ imports }) => imports)
      .filter(({ kind, path }) => kind === 'dynamic-import' && path.startsWith('src/'))
      .map(({ path }) => resolve(path)),
  )
  const needsEntry: Plugin = {
    name: 'needs-entry',
    setup: ({ onLoad }) =>
      onLoad({ filter: /[\\/]src[\\/].*\.ts$/ }, async ({ path }) => {
        if (!later.has(path)) return undefined
        const source = await readFile(path, 'utf8')
        // A relative path, because source maps contain it and must not depend on the checkout's location.
        const from = relative(dirname(path), resolve(entry)).split(sep).join('/')
        return { contents: `${source}\nimport ${JSON.stringify(`./${from}`)}`, loader: 'ts' }
      }),
  }
  return bundle({ ...own, plugins: [needsEntry] })
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

/** @returns the files that an entry loads before it is ready: its own and all static imports */
export function staticOutputs({ outputs }: Metafile, entry: string): string[] {
  const seen = new Set<string>()
  const visit = (output: string): void => {
    if (seen.has(output) || !outputs[output]) return
    seen.add(output)
    for (const { path, kind } of outputs[output].imports) if (kind === 'import-statement') visit(path)
  }
  visit(entry)
  return [...seen]
}

/** @returns the size of the sources in these files, by file for our code and by package for others */
export function contents({ outputs }: Metafile, files: string[]): Map<string, number> {
  const sizes = new Map<string, number>()
  for (const file of files)
    for (const [input, { bytesInOutput }] of Object.entries(outputs[file]?.inputs ?? {})) {
      const name = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input)?.[1] ?? input
      sizes.set(name, (sizes.get(name) ?? 0) + bytesInOutput)
    }
  return sizes
}

/** Prints what each entry loads before it is ready, largest parts first. */
export function reportEntries(metafile: Metafile): void {
  for (const [entry, { entryPoint }] of Object.entries(metafile.outputs)) {
    // esbuild also lists dynamically imported chunks as entries.
    if (entryPoint === undefined || entry.includes('/chunks/')) continue
    const files = staticOutputs(metafile, entry)
    const bytes = files.reduce((sum, file) => sum + (metafile.outputs[file]?.bytes ?? 0), 0)
    const parts = [...contents(metafile, files)]
      .sort(([, a], [, b]) => b - a)
      .slice(0, 8)
      .map(([name, bytes]) => `${name} ${Math.ceil(bytes / 1024)}`)
    process.stdout.write(
      `${String(Math.ceil(bytes / 1024)).padStart(6)} KB  ${entry} at its start: ${parts.join(', ')} …\n`,
    )
  }
}
