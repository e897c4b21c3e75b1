// Runs the image by runc as strictly as an orchestrator can: the image's user, a read-only root, no capability.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { atEnd } from '../support/cleanup.ts'
import { until } from '../support/wait.ts'
import type { Image } from './build.ts'

const execute = promisify(execFile)

export type Container = {
  process: ChildProcess
  exit: Promise<number | null>
  output(): string
  /** Runs a command beside the server. @returns its exit code and what it printed */
  exec(command: string[], env?: Record<string, string>): Promise<{ code: number; output: string }>
  signal(name: string): Promise<void>
}

export type RunOptions = {
  /** Replaces the image's `ENTRYPOINT`. */
  entrypoint?: string[]
  /** Replaces the image's `CMD`. */
  command?: string[]
  /** A folder and mount options, as in Compose. */
  tmpfs?: string[]
}

export async function runContainer(
  { root, config }: Image,
  env: Record<string, string>,
  { entrypoint = config.Entrypoint, command = config.Cmd, tmpfs = [] }: RunOptions = {},
): Promise<Container> {
  const bundle = await mkdtemp(join(tmpdir(), 'user-directory-container-'))
  atEnd(() => rm(bundle, { recursive: true, force: true }))
  const [uid = 0, gid = 0] = config.User.split(':').map(Number)
  const process = {
    user: { uid, gid },
    args: [...entrypoint, ...command],
    env: [...config.Env, ...Object.entries(env).map(([name, value]) => `${name}=${value}`)],
    cwd: config.WorkingDir,
    capabilities: {},
    noNewPrivileges: true,
  }
  await writeFile(join(bundle, 'config.json'), JSON.stringify(specification(root, process, tmpfs)))
  const id = `user-directory-${randomUUID()}`
  const runc = (...options: string[]) => ['--root', join(bundle, 'state'), ...options]

  const child = spawn('runc', runc('run', '--bundle', bundle, id), { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk))
  const exit = new Promise<number | null>((done) => child.once('exit', done))
  atEnd(async () => {
    if (child.exitCode === null) await execute('runc', runc('kill', id, 'KILL')).catch(() => {})
    await exit
  })
  return {
    process: child,
    exit,
    output: () => output,
    exec: (command, env = {}) =>
      execute('runc', runc('exec', ...envOptions(env), id, ...command), { timeout: 30_000 }).then(
        ({ stdout, stderr }) => ({ code: 0, output: stdout + stderr }),
        ({ code, stdout, stderr }) => ({ code, output: stdout + stderr }),
      ),
    signal: async (name) => void (await execute('runc', runc('kill', id, name))),
  }
}

const envOptions = (env: Record<string, string>): string[] =>
  Object.entries(env).map(([name, value]) => `--env=${name}=${value}`)

export async function started({ process, output }: Container): Promise<void> {
  await until(
    'the container to start',
    () => {
      if (process.exitCode !== null) throw new Error(`the container stopped:\n${output()}`)
      return output().includes('"message":"started"')
    },
    60_000,
  )
}

/** It shares the machine's network, because the tests' PostgreSQL, Redis and S3 listen on 127.0.0.1. */
function specification(root: string, process: object, tmpfs: string[]): object {
  const none = ['nosuid', 'noexec', 'nodev']
  return {
    ociVersion: '1.0.2',
    process,
    root: { path: root, readonly: true },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc', options: none },
      {
        destination: '/dev',
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['nosuid', 'mode=755', 'size=64k', 'ro'],
      },
      ...tmpfs.map((mount) => {
        const [destination, options = ''] = mount.split(':')
        return { destination, type: 'tmpfs', source: 'tmpfs', options: [...none, ...options.split(',')] }
      }),
    ],
    linux: { namespaces: ['pid', 'ipc', 'uts', 'mount'].map((type) => ({ type })) },
  }
}
