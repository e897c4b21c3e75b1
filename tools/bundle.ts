// How the packages are bundled: ES modules, split so that what few requests need is loaded by those alone.
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
    // As Node itself would not: packages' ES modules, of which unused parts are left out, and whose names
    // an `import()` finds.
    mainFields: ['module', 'main'],
    minify: true,
    sourcemap: true,
    // CommonJS packages in an ES module need a `require`, mostly for Node's own modules. Each file has this line,
    // so what costs anything waits for its first use.
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
 * The same for one entry, whose start is then one file instead of a dozen, each of which would cost it half a
 * millisecond. esbuild makes one file of the modules that are needed by the same parts: so each part of ours that is
 * loaded later is made to need the whole entry, which is there by then.
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
        // Relative: source maps show this line, and must not differ by where the sources are.
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

/** What an entry loads before it is ready: its file and those that it imports, and so on. */
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

/** The sources that are in these files, ours by file and others by package, with their bytes. */
export function contents({ outputs }: Metafile, files: string[]): Map<string, number> {
  const sizes = new Map<string, number>()
  for (const file of files)
    for (const [input, { bytesInOutput }] of Object.entries(outputs[file]?.inputs ?? {})) {
      const name = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input)?.[1] ?? input
      sizes.set(name, (sizes.get(name) ?? 0) + bytesInOutput)
    }
  return sizes
}

/** For each entry what it loads before it is ready, the largest parts first. */
export function reportEntries(metafile: Metafile): void {
  for (const [entry, { entryPoint }] of Object.entries(metafile.outputs)) {
    // What is loaded by `import()` counts as an entry too.
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
