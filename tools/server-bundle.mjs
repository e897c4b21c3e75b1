// Builds the bundle that `npm start` and the tests run, because it starts several times faster than the sources.
// Written in JavaScript, because type stripping costs 17 MB of memory at each start.
import { spawnSync } from 'node:child_process'
import { existsSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { sourcesHash } from './sources-hash.mjs'

const root = join(import.meta.dirname, '..')

/**
 * Builds the bundle unless one of the current sources exists, and marks it as used.
 *
 * @returns {string} the file to run
 * @throws Error if the build fails
 */
export function serverBundle() {
  const folder = join(
    root,
    '.cache',
    'server',
    sourcesHash('src', 'package.json', 'tools/bundle.ts', 'tools/build-server.ts'),
  )
  if (!existsSync(folder)) {
    // A separate process, because esbuild would stay in the server's memory.
    const build = spawnSync(process.execPath, [join(root, 'tools/build-start.ts'), folder], {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    if (build.status !== 0) throw new Error('Building the server failed; see the messages above.')
  }
  const now = new Date()
  try {
    // Later builds keep it for a day from now.
    utimesSync(folder, now, now)
  } catch {
    // Another user's folder, or a read-only disk: then no build of this user removes it either.
  }
  return join(folder, 'handler/node/server.js')
}
