// The part of our lock file that is about some packages and what these need: so that a folder which is made of a part of
// the project installs what was tested, and nothing else.
import { readFileSync } from 'node:fs'

export type Packages = Record<
  string,
  { version?: string; dependencies?: Record<string, string>; optionalDependencies?: Record<string, string> }
>

/** @returns the packages' exact versions, and the lock file's entries, those of every platform */
export function lockedPart(names: string[]): { dependencies: Record<string, string>; packages: Packages } {
  const locked: Packages = JSON.parse(readFileSync('package-lock.json', 'utf8')).packages
  const packages: Packages = {}
  const add = (name: string, parent: string): void => {
    // One that another version had to stand beside is locked under its parent.
    const path = [`${parent}/node_modules/${name}`, `node_modules/${name}`].find((path) => locked[path])
    const found = path === undefined ? undefined : locked[path]
    if (path === undefined || !found || path in packages) return
    packages[path] = found
    for (const other of Object.keys({ ...found.dependencies, ...found.optionalDependencies }))
      add(other, path)
  }
  for (const name of names) add(name, '')
  const dependencies = Object.fromEntries(
    names.map((name) => [name, locked[`node_modules/${name}`]?.version ?? '']),
  )
  return { dependencies, packages }
}
