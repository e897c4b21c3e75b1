// Packs workspaces as `npm pack` does, and installs them into empty folders, without a registry.
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { atEnd } from './cleanup.ts'

const run = promisify(execFile)
const timeout = 120_000

/**
 * @param sources folders of built packages, and of all packages that they depend on
 * @returns the folder, with the packages in its node_modules
 */
export async function installPackages(sources: string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'user-directory-installed-'))
  atEnd(() => rm(folder, { recursive: true }))
  const [packed, cache] = [join(folder, 'packed'), join(folder, 'cache')]
  await mkdir(packed)
  await writeFile(join(folder, 'package.json'), '{"private":true,"type":"module"}')
  const npm = (...words: string[]) => run('npm', [...words, '--cache', cache], { cwd: folder, timeout })
  const { stdout } = await npm('pack', ...sources, '--pack-destination', packed, '--json')
  const files = (JSON.parse(stdout) as { filename: string }[]).map(({ filename }) => join(packed, filename))
  await npm('install', '--offline', '--ignore-scripts', '--no-audit', ...files)
  return folder
}
