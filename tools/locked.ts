// Extracts packages and their dependencies from the lock file, so that a built folder installs exactly the tested versions.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

export type Packages = Record<
  string,
  {
    version?: string
    integrity?: string
    license?: string
    dependencies?: Record<string, string>
    optionalDependencies?: Record<string, string>
  }
>

/** By npm's names. */
export type Platform = { os: string; cpu: string }

export function lockedPackages(): Packages {
  return JSON.parse(readFileSync('package-lock.json', 'utf8')).packages
}

/** @returns the packages' exact versions, and their lock file entries for every platform */
export function lockedPart(names: string[]): { dependencies: Record<string, string>; packages: Packages } {
  const locked = lockedPackages()
  const packages: Packages = {}
  const add = (name: string, parent: string): void => {
    // npm nests a package under its parent if another version is at the top level.
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

/** Installs what the folder's lock file names, for another platform. */
export function installLocked(folder: string, { os, cpu }: Platform): void {
  execFileSync(
    process.platform === 'win32' ? 'npm.cmd' : 'npm',
    ['ci', '--ignore-scripts', '--no-audit', '--no-fund', `--os=${os}`, `--cpu=${cpu}`, '--libc=glibc'],
    { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'], timeout: 300_000 },
  )
}
