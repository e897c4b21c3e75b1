// The functions as a folder that Lambda takes: bundled code, and the native packages for its processor.
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Metafile } from 'esbuild'
import { bundle } from './bundle.ts'

/** Native: loaded from node_modules, by the few requests that need them. */
const natives = ['sharp', '@node-rs/argon2']

/**
 * @param out a folder that is made or added to
 * @param platform the processor and system that it is for; this machine's when absent
 */
export async function buildFunctions(out: string, platform?: { os: string; cpu: string }): Promise<Metafile> {
  const metafile = await bundle({
    entryPoints: {
      api: 'src/handler/lambda.ts',
      refresh: 'src/refresh-job/lambda.ts',
      deliver: 'src/refresh-job/deliver.ts',
      'sign-in': 'src/handler/sign-in.ts',
      'user-pool': 'src/handler/user-pool.ts',
      migrate: 'src/refresh-job/migrate.ts',
    },
    outdir: out,
    external: natives,
  })
  cpSync('migrations', join(out, 'migrations'), { recursive: true })
  const { root, packages } = lockedNatives()
  writeFileSync(join(out, 'package.json'), JSON.stringify(root, null, 2))
  if (platform) install(out, platform, { lockfileVersion: 3, packages: { '': root, ...packages } })
  else
    for (const path of Object.keys(packages))
      if (existsSync(path)) cpSync(path, join(out, path), { recursive: true })
  return metafile
}

type Packages = Record<
  string,
  { version?: string; dependencies?: Record<string, string>; optionalDependencies?: Record<string, string> }
>

/** The part of our lock file that is about the native packages, those of every platform. */
function lockedNatives(): { root: object; packages: Packages } {
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
  for (const name of natives) add(name, '')
  const versions = natives.map((name) => [name, locked[`node_modules/${name}`]?.version])
  return {
    root: {
      name: 'user-directory-functions',
      private: true,
      type: 'module',
      dependencies: Object.fromEntries(versions),
    },
    packages,
  }
}

/** Exactly what is locked, for another platform than this one. */
function install(out: string, { os, cpu }: { os: string; cpu: string }, lock: object): void {
  writeFileSync(join(out, 'package-lock.json'), JSON.stringify(lock, null, 2))
  execFileSync(
    process.platform === 'win32' ? 'npm.cmd' : 'npm',
    ['ci', '--ignore-scripts', '--no-audit', '--no-fund', `--os=${os}`, `--cpu=${cpu}`, '--libc=glibc'],
    { cwd: out, stdio: ['ignore', 'ignore', 'inherit'], timeout: 300_000 },
  )
}
