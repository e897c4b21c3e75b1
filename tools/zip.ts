// Creates a reproducible ZIP of a folder: sorted files without timestamps.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { type Zippable, zipSync } from 'fflate'

// The earliest time that ZIP supports. It is stored as local time.
const noTime = new Date(1980, 0, 1)

/** Skips symbolic links, such as npm's links to commands. */
export function zipFolder(folder: string, file: string): void {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => [relative(folder, path).split(sep).join('/'), readFileSync(path)] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  const zippable: Zippable = Object.fromEntries(files)
  // Lambda's user must be able to read the files.
  writeFileSync(file, zipSync(zippable, { level: 9, mtime: noTime, os: 3, attrs: 0o100644 << 16 }))
}
