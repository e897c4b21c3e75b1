// Builds the Lambda functions' package: bundled code, and native packages for the target processor.
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { BuildOptions, Metafile } from 'esbuild'
import { bundle, bundleTogether } from './bundle.ts'
import { installLocked, lockedPart, type Platform } from './locked.ts'

/** Native packages stay in node_modules and are loaded by the few requests that need them. */
const natives = ['sharp', '@node-rs/argon2']

export async function bundleFunctions(options: BuildOptions): Promise<Metafile> {
  const own = { external: natives, ...options }
  const api = await bundleTogether('api', 'src/handler/lambda/api.ts', own)
  const others = await bundle({
    ...own,
    entryPoints: {
      refresh: 'src/refresh-job/revalidate.ts',
      deliver: 'src/refresh-job/deliver.ts',
      'run-jobs': 'src/refresh-job/run-jobs.ts',
      'sign-in': 'src/handler/lambda/cognito-triggers.ts',
      'user-pool': 'src/handler/lambda/user-pool.ts',
      'openid-provider': 'src/handler/lambda/openid-provider.ts',
      migrate: 'src/refresh-job/migrate.ts',
      // The API starts it as a separate process.
      'services/avatars/image-process': 'src/services/avatars/image-process.ts',
    },
  })
  return {
    inputs: { ...api.inputs, ...others.inputs },
    outputs: { ...api.outputs, ...others.outputs },
  }
}

/**
 * @param out the folder to create or add to; source maps go to `<out>-maps`, because no function reads them
 * @param platform the target system and processor; this machine's if absent
 */
export async function buildFunctions(out: string, platform?: Platform): Promise<Metafile> {
  const metafile = await bundleFunctions({ outdir: out })
  moveSourceMaps(out, `${out}-maps`)
  cpSync('migrations', join(out, 'migrations'), { recursive: true })
  const { dependencies, packages } = lockedPart(natives)
  const root = { name: 'user-directory-functions', private: true, type: 'module', dependencies }
  const manifest = join(out, 'package.json')
  writeFileSync(manifest, JSON.stringify(root, null, 2))
  if (platform) {
    const lock = { lockfileVersion: 3, packages: { '': root, ...packages } }
    writeFileSync(join(out, 'package-lock.json'), JSON.stringify(lock, null, 2))
    installLocked(out, platform)
  } else
    for (const path of Object.keys(packages))
      if (existsSync(path)) cpSync(path, join(out, path), { recursive: true })
  // The CDK app reads `cpu` to choose Lambda's processor. It is set last, because npm would refuse to install for another.
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
