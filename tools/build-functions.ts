// The functions as a folder that Lambda takes: bundled code, and the native packages for its processor.
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { BuildOptions, Metafile } from 'esbuild'
import { bundle, bundleTogether } from './bundle.ts'
import { lockedPart } from './locked.ts'

/** Native: loaded from node_modules, by the few requests that need them. */
const natives = ['sharp', '@node-rs/argon2']

export async function bundleFunctions(options: BuildOptions): Promise<Metafile> {
  const own = { external: natives, ...options }
  const api = await bundleTogether('api', 'src/handler/lambda/api.ts', own)
  const others = await bundle({
    ...own,
    entryPoints: {
      refresh: 'src/refresh-job/revalidate.ts',
      deliver: 'src/refresh-job/deliver.ts',
      'sign-in': 'src/handler/lambda/cognito-triggers.ts',
      'user-pool': 'src/handler/lambda/user-pool.ts',
      migrate: 'src/refresh-job/migrate.ts',
      // A process of its own, which the API starts.
      'services/avatars/image-process': 'src/services/avatars/image-process.ts',
    },
  })
  return {
    inputs: { ...api.inputs, ...others.inputs },
    outputs: { ...api.outputs, ...others.outputs },
  }
}

/**
 * @param out a folder that is made or added to; the source maps go to `<out>-maps`, since no function reads them
 * @param platform the processor and system that it is for; this machine's when absent
 */
export async function buildFunctions(out: string, platform?: { os: string; cpu: string }): Promise<Metafile> {
  const metafile = await bundleFunctions({ outdir: out })
  moveSourceMaps(out, `${out}-maps`)
  cpSync('migrations', join(out, 'migrations'), { recursive: true })
  const { dependencies, packages } = lockedPart(natives)
  const root = { name: 'user-directory-functions', private: true, type: 'module', dependencies }
  const manifest = join(out, 'package.json')
  writeFileSync(manifest, JSON.stringify(root, null, 2))
  if (platform) install(out, platform, { lockfileVersion: 3, packages: { '': root, ...packages } })
  else
    for (const path of Object.keys(packages))
      if (existsSync(path)) cpSync(path, join(out, path), { recursive: true })
  // The templates read it, to ask Lambda for the same processor. npm installs nothing for another one than this.
  writeFileSync(manifest, JSON.stringify({ ...root, cpu: [platform?.cpu ?? process.arch] }, null, 2))
  return metafile
}

function moveSourceMaps(from: string, to: string): void {
  for (const file of readdirSync(from, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.js.map')) continue
    mkdirSync(dirname(join(to, file)), { recursive: true })
    renameSync(join(from, file), join(to, file))
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
