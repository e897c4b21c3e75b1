// Builds the bundle that `npm start` runs into a folder that must not exist yet.
import { existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { bundleServer } from './build-server.ts'

const oneDay = 24 * 60 * 60 * 1000

const [folder] = process.argv.slice(2)
if (folder === undefined) throw new Error('Which folder?')
const unfinished = `${folder}-${process.pid}`
await bundleServer(unfinished)
try {
  // In one step: a start at the same moment finds a whole bundle or none.
  renameSync(unfinished, folder)
} catch (error) {
  rmSync(unfinished, { recursive: true })
  if (!existsSync(folder)) throw error
}
// A running server still loads parts of its bundle, so others are kept for a day.
for (const name of readdirSync(dirname(folder))) {
  const other = join(dirname(folder), name)
  if (statSync(other).mtimeMs < Date.now() - oneDay) rmSync(other, { recursive: true, force: true })
}
