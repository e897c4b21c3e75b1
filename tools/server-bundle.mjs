// The bundle that `npm start` and the tests run: it starts several times faster than the sources.
// JavaScript, because stripping types costs each start 17 MB of memory.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')

/**
 * Builds the bundle unless there is one of the present sources.
 *
 * @returns {string} the file to run
 * @throws when the build fails
 */
export function serverBundle() {
  const folder = join(root, '.cache', 'server', sourcesHash())
  if (!existsSync(folder)) {
    // A process of its own, because esbuild and its types would stay in the server's memory.
    const build = spawnSync(process.execPath, [join(root, 'tools/build-start.ts'), folder], {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    if (build.status !== 0) throw new Error('The server cannot be built; see above.')
  }
  return join(folder, 'handler/node/server.js')
}

/** By content, not by time: a bundle belongs to one state of the sources, and switching branches finds it again. */
function sourcesHash() {
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join('src', file))
    .sort()
  const hash = createHash('sha256')
  // npm writes the list of the packages that it has installed.
  const packages = 'node_modules/.package-lock.json'
  if (!existsSync(join(root, packages))) throw new Error('The packages are not installed. Run: npm ci')
  for (const file of [...sources, packages, 'tools/bundle.ts', 'tools/build-server.ts'])
    hash
      .update(file)
      .update('\0')
      .update(readFileSync(join(root, file)))
      .update('\0')
  return hash.digest('hex').slice(0, 16)
}
