// Builds the console for `npm start` and `npm run build`, unless `console/dist` has the current sources.
// Written in JavaScript for the reason of server-bundle.mjs.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sourcesHash } from './sources-hash.mjs'

const root = join(import.meta.dirname, '..')
const vite = join(root, 'node_modules/vite/bin/vite.js')
const dist = join(root, 'console/dist')
/** The server does not serve it, because its name has no extension. */
const marker = 'sources-hash'

/**
 * @returns {boolean} false if Vite is not installed, as after `npm ci --omit=dev`; what is in `console/dist` stays
 * @throws Error if the build fails
 */
export function buildConsole() {
  if (!existsSync(vite)) return false
  const hash = sourcesHash(
    'console/src',
    'console/index.html',
    'console/package.json',
    'console/vite.config.ts',
    'client/src',
  )
  if (isBuilt(hash)) return true
  const unfinished = join(root, '.cache', `console-${process.pid}`)
  const options = ['--config', 'console/vite.config.ts', '--outDir', unfinished, '--emptyOutDir']
  const build = spawnSync(process.execPath, [vite, 'build', ...options, '--logLevel', 'error'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (build.status !== 0) throw new Error('Building the console failed; see the messages above.')
  writeFileSync(join(unfinished, marker), hash)
  const former = `${unfinished}-former`
  try {
    // A concurrent start may have built the same. Its files must stay, because its server reads them.
    if (!isBuilt(hash)) {
      // A removal in place would meet what a concurrent start puts there.
      moveAway(former)
      renameSync(unfinished, dist)
    }
  } catch (error) {
    if (!isBuilt(hash)) throw error
  } finally {
    for (const folder of [unfinished, former]) rmSync(folder, { recursive: true, force: true })
  }
  return true
}

/** @param {string} former */
function moveAway(former) {
  try {
    renameSync(dist, former)
  } catch (error) {
    // There is none, or a concurrent start has moved it.
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
  }
}

/** @param {string} hash */
function isBuilt(hash) {
  const file = join(dist, marker)
  return existsSync(file) && readFileSync(file, 'utf8') === hash
}
