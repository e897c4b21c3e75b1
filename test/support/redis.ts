// A real Redis or Valkey for tests, from the PATH, the distribution's packages or a container.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { tmpdir } from 'node:os'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import { fetchProgram, findOnPath } from './debian.ts'
import { freePort } from './port.ts'
import { until } from './wait.ts'

const run = promisify(execFile)
const image = 'valkey/valkey:8'

export type RedisServer = {
  url: string
  port: number
  process: ChildProcess
  /** Kills the process like a crash. */
  kill(): Promise<void>
}

type Server = { command: string; options: string[]; env?: Record<string, string> }

let found: Promise<Server> | undefined

/**
 * @param port a free one if absent
 * @param options further options of redis-server; the defaults are no persistence and loopback only
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
  for (const name of ['valkey-server', 'redis-server']) {
    const command = await findOnPath(name)
    if (command !== undefined) return { command, options: [] }
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

// The server and its libraries by Debian's and Ubuntu's names. A release may lack some.
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

async function fetchPackages(): Promise<Server> {
  const { command, env } = await fetchProgram({ name: 'redis', program: 'usr/bin/redis-server', packages })
  return { command, env, options: [] }
}

async function findContainer(): Promise<Server> {
  await run('docker', ['pull', image], { timeout: 300_000 })
  return { command: 'docker', options: ['run', '--rm', '--network=host', image, 'valkey-server'] }
}
