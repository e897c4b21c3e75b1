// Identifies the sources that a build is made of by their content, so that a build is found again after switching branches.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
// npm records the installed packages in its hidden lock file.
const packages = 'node_modules/.package-lock.json'

/**
 * @param {string[]} paths files and folders in the checkout; of folders, all files
 * @returns {string} a hash of them and of the installed packages
 * @throws Error if the packages are not installed
 */
export function sourcesHash(...paths) {
  if (!existsSync(join(root, packages))) throw new Error('The packages are not installed. Run: npm ci')
  const hash = createHash('sha256')
  for (const file of [...paths.flatMap(filesOf), packages])
    hash
      .update(file)
      .update('\0')
      .update(readFileSync(join(root, file)))
      .update('\0')
  return hash.digest('hex').slice(0, 16)
}

/**
 * @param {string} path
 * @returns {string[]}
 */
function filesOf(path) {
  if (statSync(join(root, path)).isFile()) return [path]
  return readdirSync(join(root, path), { recursive: true, encoding: 'utf8' })
    .map((file) => join(path, file))
    .filter((file) => statSync(join(root, file)).isFile())
    .sort()
}
