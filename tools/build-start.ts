// Builds the bundle for `npm start` into a new folder.
import { existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { bundleServer } from './build-server.ts'

const oneDay = 24 * 60 * 60 * 1000

const [folder] = process.argv.slice(2)
if (folder === undefined) throw new Error('Pass the folder to create.')
const unfinished = `${folder}-${process.pid}`
await bundleServer(unfinished)
try {
  // Renaming is atomic, so a concurrent start never sees an incomplete bundle.
  renameSync(unfinished, folder)
} catch (error) {
  rmSync(unfinished, { recursive: true })
  if (!existsSync(folder)) throw error
}
// Running servers still load parts of their bundles, so a bundle is kept for a day after its last start.
for (const name of readdirSync(dirname(folder))) {
  const other = join(dirname(folder), name)
  // Undefined if a concurrent start has removed it.
  const usedAt = statSync(other, { throwIfNoEntry: false })?.mtimeMs
  if (usedAt !== undefined && usedAt < Date.now() - oneDay) rmSync(other, { recursive: true, force: true })
}
