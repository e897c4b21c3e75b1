// Builds the image of the Dockerfile by buildah, which needs no daemon. All proofs of a run share it.
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { TestProject } from 'vitest/node'

const execute = promisify(execFile)

export type ImageConfig = {
  User: string
  Env: string[]
  Entrypoint: string[]
  Cmd: string[]
  WorkingDir: string
  StopSignal: string
  Healthcheck: { Test: string[] }
}

export type Image = { root: string; config: ImageConfig; bytes: number; base: 'pinned' | 'local' }

declare module 'vitest' {
  interface ProvidedContext {
    image: Image
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'user-directory-image-'))
  const remove = () => rm(folder, { recursive: true, force: true })
  try {
    project.provide('image', await buildImage(folder))
    return remove
  } catch (error) {
    await remove()
    throw error
  }
}

/**
 * Runs the last stage of the Dockerfile on what `npm run build:image` makes, which is what the first stage runs.
 * @returns the image's file system, below the folder
 */
async function buildImage(folder: string): Promise<Image> {
  const buildah = async (...options: string[]): Promise<string> => {
    const store = ['--root', `${folder}/store`, '--runroot', `${folder}/run`, '--storage-driver', 'vfs']
    const { stdout } = await execute('buildah', [...store, ...options], { timeout: 300_000 })
    return stdout.trim()
  }

  await execute('npm', ['run', 'build:image'], { timeout: 600_000, maxBuffer: 2 ** 26 })
  await cp('dist/image', `${folder}/build/build/dist/image`, { recursive: true })
  const stage = [
    '--isolation=chroot',
    '--format=docker',
    '--tag=built',
    `--build-context=build=${folder}/build`,
  ]
  let base: Image['base'] = 'pinned'
  try {
    await buildah('bud', ...stage, '.')
  } catch (error) {
    const [reason] = /Error: .*|error .*/.exec((error as { stderr?: string }).stderr ?? '') ?? ['']
    process.stdout.write(
      `The pinned base image cannot be pulled; using a local one. ${reason.slice(0, 300)}\n`,
    )
    base = 'local'
    await makeLocalBase(`${folder}/base`)
    const container = await buildah('from', 'scratch')
    await buildah('copy', '--quiet', container, `${folder}/base`, '/')
    await buildah('commit', '--quiet', container, 'localhost/runtime')
    const file = (await readFile('Dockerfile', 'utf8')).replace(/^FROM gcr\.io\S+/m, 'FROM localhost/runtime')
    await writeFile(`${folder}/Dockerfile`, file)
    await buildah('bud', ...stage, `--file=${folder}/Dockerfile`, '.')
  }
  const root = await buildah('mount', await buildah('from', 'built'))
  const inspected = JSON.parse(await buildah('inspect', '--type=image', 'built'))
  const { stdout: size } = await execute('du', ['--summarize', '--bytes', root])
  return { root, config: inspected.Docker.config, bytes: Number.parseInt(size, 10), base }
}

/** Parts of glibc that Node does not need, but native packages may. Distroless images have all of glibc. */
const otherLibraries = [
  'librt.so.1',
  'libresolv.so.2',
  'libutil.so.1',
  'libnss_dns.so.2',
  'libnss_files.so.2',
]

/** Makes a base with this Node, the libraries that it needs and nothing else, laid out as distroless images are. */
async function makeLocalBase(folder: string): Promise<void> {
  const { stdout } = await execute('ldd', [process.execPath])
  const libraries = stdout.match(/\/\S+/g) ?? []
  const glibc = dirname(libraries.find((file) => file.endsWith('/libc.so.6')) ?? '')
  const others = otherLibraries.map((name) => join(glibc, name))
  for (const file of [...libraries, ...others, '/etc/ssl/certs/ca-certificates.crt']) {
    await mkdir(join(folder, dirname(file)), { recursive: true })
    await cp(file, join(folder, file), { dereference: true })
  }
  await mkdir(join(folder, 'tmp'))
  await mkdir(join(folder, 'nodejs/bin'), { recursive: true })
  await cp(process.execPath, join(folder, 'nodejs/bin/node'))
  await writeFile(join(folder, 'etc/passwd'), 'nonroot:x:65532:65532::/home/nonroot:/sbin/nologin\n')
}
