// A folder as a ZIP, the same bytes whenever and wherever it is made: files in order, without times.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { type Zippable, zipSync } from 'fflate'

// ZIP knows no earlier time, and writes it as a clock on the wall shows it.
const noTime = new Date(1980, 0, 1)

/** Links, such as npm's to commands, are left out. */
export function zipFolder(folder: string, file: string): void {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => [relative(folder, path).split(sep).join('/'), readFileSync(path)] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  const zippable: Zippable = Object.fromEntries(files)
  // Readable by the user that Lambda runs as.
  writeFileSync(file, zipSync(zippable, { level: 9, mtime: noTime, os: 3, attrs: 0o100644 << 16 }))
}
