// Builds the bundle that `npm start` and the tests run, because it starts several times faster than the sources.
// Written in JavaScript, because type stripping costs 17 MB of memory at each start.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, utimesSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')

/**
 * Builds the bundle unless one of the current sources exists, and marks it as used.
 *
 * @returns {string} the file to run
 * @throws Error if the build fails
 */
export function serverBundle() {
  const folder = join(root, '.cache', 'server', sourcesHash())
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

/** Hashes the content, so that a bundle is found again after switching branches. */
function sourcesHash() {
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join('src', file))
    .sort()
  const hash = createHash('sha256')
  // npm records the installed packages in its hidden lock file.
  const packages = 'node_modules/.package-lock.json'
  if (!existsSync(join(root, packages))) throw new Error('The packages are not installed. Run: npm ci')
  for (const file of [...sources, 'package.json', packages, 'tools/bundle.ts', 'tools/build-server.ts'])
    hash
      .update(file)
      .update('\0')
      .update(readFileSync(join(root, file)))
      .update('\0')
  return hash.digest('hex').slice(0, 16)
}
