// A real Redis (or Valkey) for tests: one on the PATH, or the distribution's, or a container.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { access, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import { freePort } from './port.ts'
import { until } from './wait.ts'

const run = promisify(execFile)
const fetched = resolve('node_modules/.cache/redis')
const image = 'valkey/valkey:8'

export type RedisServer = {
  url: string
  port: number
  process: ChildProcess
  /** Ends it at once, as a crash would. */
  kill(): Promise<void>
}

type Server = { command: string; options: string[]; env?: Record<string, string> }

let found: Promise<Server> | undefined

/**
 * @param port a free one when absent
 * @param options of redis-server, after the defaults: no persistence, loopback only
 */
export async function startRedis({
  port,
  options = [],
}: {
  port?: number
  options?: string[]
} = {}): Promise<RedisServer> {
  found ??= findServer()
  const server = await found
  const chosen = port ?? (await freePort())
  const child = spawn(
    server.command,
    [
      ...server.options,
      '--port',
      String(chosen),
      '--bind',
      server.command === 'docker' ? '0.0.0.0' : '127.0.0.1',
      '--save',
      '',
      '--appendonly',
      'no',
      ...options,
    ],
    { stdio: 'ignore', cwd: tmpdir(), env: { ...process.env, ...server.env } },
  )
  const gone = new Promise<void>((done) => child.once('exit', () => done()))
  child.once('error', () => {})
  const url = `redis://127.0.0.1:${chosen}`
  await until('Redis to answer', () => {
    if (child.exitCode !== null) throw new Error(`${server.command} stopped with ${child.exitCode}`)
    return ping(url)
  })
  return {
    url,
    port: chosen,
    process: child,
    kill: async () => {
      child.kill('SIGKILL')
      await gone
    },
  }
}

async function ping(url: string): Promise<boolean> {
  const redis = new Redis(url, {
    lazyConnect: true,
    retryStrategy: null,
    connectTimeout: 1_000,
    maxRetriesPerRequest: 0,
  })
  redis.on('error', () => {})
  try {
    await redis.connect()
    return (await redis.ping()) === 'PONG'
  } catch {
    return false
  } finally {
    redis.disconnect()
  }
}

async function findServer(): Promise<Server> {
  for (const name of ['valkey-server', 'redis-server'])
    for (const folder of (process.env.PATH ?? '').split(delimiter)) {
      const command = join(folder, name)
      if (
        await access(command).then(
          () => true,
          () => false,
        )
      )
        return { command, options: [] }
    }
  const reasons: string[] = []
  for (const attempt of [fetchPackages, findContainer])
    try {
      return await attempt()
    } catch (error) {
      reasons.push((error as Error).message.split('\n')[0] ?? '')
    }
  throw new Error(
    `The tests need Redis or Valkey. Install redis-server or valkey-server, or set REDIS_URL. (${reasons.join('; ')})`,
  )
}

// The server and the libraries that a machine may lack, by Debian's and Ubuntu's names; not all exist in
// every release.
const packages = [
  'redis-server',
  'redis-tools',
  'libjemalloc2',
  'liblua5.1-0',
  'lua5.1',
  'lua-cjson',
  'lua-bitop',
  'liblzf1',
  'libatomic1',
  'libhiredis0.14',
  'libhiredis1.1.0',
  'libsystemd0',
  'libssl3',
  'libssl3t64',
]

/** Downloads and unpacks packages; neither installs anything nor needs root. */
async function fetchPackages(): Promise<Server> {
  if (
    !(await access(fetched).then(
      () => true,
      () => false,
    ))
  ) {
    await mkdir(resolve(fetched, '..'), { recursive: true })
    const work = await mkdtemp(`${fetched}-`)
    try {
      await download(work, [])
      if (!(await hasServer(work))) {
        // The machine has no package lists, or old ones: a private copy is brought up to date.
        const state = ['-o', `Dir::State::lists=${work}/lists`, '-o', `Dir::Cache=${work}/cache`]
        await mkdir(join(work, 'lists/partial'), { recursive: true })
        await mkdir(join(work, 'cache/archives/partial'), { recursive: true })
        await run('apt-get', [...state, 'update'], { timeout: 120_000 })
        await download(work, state)
      }
      if (!(await hasServer(work))) throw new Error('the distribution has no redis-server')
      for (const name of ['lists', 'cache']) await rm(join(work, name), { recursive: true, force: true })
      // Put into place whole: of two runs at once the second finds it there.
      await rename(work, fetched).catch(async (error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
      })
    } finally {
      await rm(work, { recursive: true, force: true })
    }
  }
  const libraries = join(fetched, 'usr/lib')
  const folders = [libraries, ...(await readdir(libraries)).map((name) => join(libraries, name))]
  const server = {
    command: join(fetched, 'usr/bin/redis-server'),
    options: [],
    env: { LD_LIBRARY_PATH: folders.join(':') },
  }
  await run(server.command, ['--version'], { env: { ...process.env, ...server.env } })
  return server
}

async function download(work: string, state: string[]): Promise<void> {
  // One by one: a name that this release does not know must not stop the others.
  await Promise.all(
    packages.map((name) =>
      run('apt-get', [...state, 'download', name], { cwd: work, timeout: 120_000 }).catch(() => {}),
    ),
  )
  for (const name of await readdir(work))
    if (name.endsWith('.deb')) {
      await run('dpkg-deb', ['-x', join(work, name), work])
      await rm(join(work, name))
    }
}

function hasServer(folder: string): Promise<boolean> {
  return access(join(folder, 'usr/bin/redis-server')).then(
    () => true,
    () => false,
  )
}

async function findContainer(): Promise<Server> {
  await run('docker', ['pull', image], { timeout: 300_000 })
  return { command: 'docker', options: ['run', '--rm', '--network=host', image, 'valkey-server'] }
}
