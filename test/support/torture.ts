// Writers and readers on real server processes, PostgreSQL and Redis, while these are killed, paused, cut off
// and restarted; a judge looks at every answer. `npm run torture` runs it long, the suite short.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Redis } from 'ioredis'
import pg from 'pg'
import { migrate } from '../../src/connection/postgres/migrations.ts'
import { startEmbeddedPostgres } from '../../src/dev/embedded-postgres.ts'
import type { User } from '../../src/model/user.ts'
import { serverBundle } from '../../tools/server-bundle.mjs'
import { startIssuer } from './issuer.ts'
import { createJudge, type Judge } from './judge.ts'
import { freePort } from './port.ts'
import { startProxy } from './proxy.ts'
import { type RedisServer, startRedis } from './redis.ts'
import { until } from './wait.ts'

// What docs/reliability.md states: a write whose own server cannot reach Redis, while others can, is caught
// up with within this time.
export const boundMs = 2_500

const writers = 12
const readers = 24
// Of so many writes one erases its user, and another user is made.
const eraseEvery = 50
// Of those who were erased so many are read on.
const erasedMax = 10

/** What faults have in their hands. */
export type Stage = {
  judge: Judge
  redisUrl: string
  databaseUrl: string
  killRedis(): Promise<void>
  /** @param options.empty without what it had on disk */
  startRedis(options: { isEmpty: boolean }): Promise<void>
  signalRedis(signal: NodeJS.Signals): void
  /** Ends one of the servers with SIGKILL and starts it again. */
  killServer(): Promise<void>
  /** One of the servers cannot reach Redis any more, until what is returned is called. */
  cutOff(): Promise<() => Promise<void>>
  /** The same server is led to another Redis, until what is returned is called. */
  mislead(): Promise<() => Promise<void>>
  /** Stops one of the servers where it stands, until what is returned is called. */
  freezeServer(): () => void
  /** How long a fault lasts that can last for any time. */
  faultMs: number
}

/** @property isTrouble some server may be unable to reach Redis meanwhile, while another can */
export type Fault = { what: string; isTrouble: boolean; inflict(stage: Stage): Promise<void> }

// How long a fault lasts, while clients go on: part of the fault, nothing is waited for by it.
const faultMs = 1_000

/** Redis goes on answering reads; `inflict` makes it refuse writes, `lift` ends that. */
function refusal(
  what: string,
  inflict: (redis: Redis) => Promise<unknown>,
  lift: (redis: Redis) => Promise<unknown>,
): Fault {
  return {
    what: `Redis answers reads and refuses writes: ${what}`,
    isTrouble: true,
    inflict: async ({ redisUrl, faultMs }) => {
      const redis = new Redis(redisUrl)
      redis.on('error', () => {})
      try {
        await inflict(redis)
        await pause(faultMs)
        await lift(redis)
      } finally {
        redis.disconnect()
      }
    },
  }
}

export const faults: Fault[] = [
  {
    what: 'Redis is killed, and comes back empty',
    isTrouble: true,
    inflict: async ({ killRedis, startRedis }) => {
      await killRedis()
      await pause(faultMs)
      await startRedis({ isEmpty: true })
    },
  },
  {
    what: 'Redis is paused for two seconds',
    isTrouble: true,
    inflict: async ({ signalRedis }) => {
      signalRedis('SIGSTOP')
      await pause(2 * faultMs)
      signalRedis('SIGCONT')
    },
  },
  {
    what: 'Redis is restarted with what it had on disk a while ago',
    isTrouble: true,
    inflict: async ({ redisUrl, killRedis, startRedis }) => {
      const client = new Redis(redisUrl)
      await client.save()
      client.disconnect()
      await pause(faultMs)
      await killRedis()
      await startRedis({ isEmpty: false })
    },
  },
  {
    what: 'a server alone cannot reach Redis',
    isTrouble: true,
    inflict: async ({ cutOff, faultMs }) => {
      const restore = await cutOff()
      await pause(faultMs)
      await restore()
    },
  },
  {
    what: 'a server is killed, and started again',
    isTrouble: false,
    inflict: ({ killServer }) => killServer(),
  },
  {
    what: 'PostgreSQL crashes, and recovers',
    isTrouble: false,
    inflict: async ({ databaseUrl }) => {
      const client = new pg.Client({ connectionString: databaseUrl })
      client.on('error', () => {})
      await client.connect()
      const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
      // One dead process makes PostgreSQL throw all others out and recover from its log.
      process.kill(rows[0]?.pid ?? -1, 'SIGKILL')
      await client.end().catch(() => {})
    },
  },
  refusal(
    'too few replicas (NOREPLICAS)',
    (redis) => redis.config('SET', 'min-replicas-to-write', 1),
    (redis) => redis.config('SET', 'min-replicas-to-write', 0),
  ),
  refusal(
    'it was demoted (READONLY)',
    (redis) => redis.replicaof('127.0.0.1', 1),
    (redis) => redis.replicaof('NO', 'ONE'),
  ),
  refusal(
    'its user may not write (NOPERM)',
    (redis) => redis.acl('SETUSER', 'default', '-@write'),
    (redis) => redis.acl('SETUSER', 'default', '+@all'),
  ),
  refusal(
    'its memory is full (OOM)',
    (redis) => redis.config('SET', 'maxmemory', 1),
    (redis) => redis.config('SET', 'maxmemory', 0),
  ),
  {
    what: 'a server alone is led to another Redis, and back',
    isTrouble: true,
    inflict: async ({ mislead, faultMs }) => {
      const restore = await mislead()
      await pause(faultMs)
      await restore()
    },
  },
  {
    // A removal that it had under way then fails, as far as it knows.
    what: 'a server stands still for a while',
    isTrouble: true,
    inflict: async ({ freezeServer }) => {
      const thaw = freezeServer()
      await pause(2 * faultMs)
      thaw()
    },
  },
]

export type Torture = {
  stage: Stage
  judge: Judge
  /** Inflicts it while the clients go on. */
  inflict(fault: Fault): Promise<void>
  /** Lets the clients end, waits until everything answers again, and has the judge look at what is left. */
  finish(): Promise<void>
}

/**
 * Starts the servers, makes the users, and lets the clients begin.
 * @param atEnd is given each step that undoes something; the last must be done first
 */
export async function startTorture(
  options: { processes: number; users: number; faultMs?: number },
  atEnd: (step: () => Promise<unknown>) => void,
): Promise<Torture> {
  const directory = await mkdtemp(join(tmpdir(), 'user-directory-torture-'))
  atEnd(() => rm(directory, { recursive: true, force: true }))
  const postgres = await startEmbeddedPostgres(join(directory, 'postgres'))
  atEnd(postgres.stop)
  const port = await freePort()
  const dump = 'dump.rdb'
  const newRedis = () => startRedis({ port, options: ['--dir', directory, '--dbfilename', dump] })
  let redis: RedisServer = await newRedis()
  atEnd(() => redis.kill())
  const proxy = await startProxy({ host: '127.0.0.1', port })
  atEnd(proxy.close)
  const otherRedis = await startRedis()
  atEnd(() => otherRedis.kill())
  const issuer = await startIssuer()
  atEnd(issuer.close)
  await migrate(postgres.url)
  const token = await issuer.machineToken('users/write')

  const env = {
    PATH: process.env.PATH ?? '',
    DATABASE_URL: postgres.url,
    REDIS_URL: redis.url,
    JWT_ISSUER: issuer.rules.issuer,
    JWT_JWKS_URI: issuer.rules.jwksUri,
    JWT_AUDIENCE: issuer.rules.audience.join(),
    LOG_LEVEL: 'error',
  }
  // The first reaches Redis by a way of its own, which can be cut.
  const envOf = (at: number) => (at === 0 ? { ...env, REDIS_URL: `redis://127.0.0.1:${proxy.port}` } : env)
  const servers = await Promise.all(
    Array.from({ length: options.processes }, (_, at) => startServer(directory, envOf(at))),
  )
  atEnd(() => Promise.all(servers.map(({ stop }) => stop())))

  const send = async (method: string, path: string, body?: unknown) => {
    const server = servers[Math.floor(Math.random() * servers.length)]
    const response = await fetch(`${server?.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(10_000),
    })
    const user = response.status === 204 ? {} : ((await response.json()) as Partial<User>)
    return { ...user, status: response.status, isHit: response.headers.get('x-cache') === 'hit' }
  }
  const trySend = (...request: Parameters<typeof send>) => send(...request).catch(() => undefined)

  const judge = createJudge(boundMs)
  let made = 0
  /** @returns undefined when it was refused */
  const make = async (): Promise<string | undefined> => {
    const username = `torture.${made++}`
    const {
      status,
      id,
      version = 0,
    } = (await trySend('POST', '/user', { username, password: 'a-good-password' })) ?? {}
    if (status !== 201 || id === undefined) return undefined
    judge.add(id, version)
    return id
  }
  /** Who is read and written now. */
  const ids = await Promise.all(Array.from({ length: options.users }, () => until('a user to be made', make)))
  const anyOf = (some: string[]) => some[Math.floor(Math.random() * some.length)] ?? ''
  const erased: string[] = []

  let isOver = false
  const write = async (writer: number) => {
    for (let turn = 1; !isOver; turn++) {
      if (turn % eraseEvery === 0 && ids.length > writers) {
        const [id = ''] = ids.splice(Math.floor(Math.random() * ids.length), 1)
        erased.splice(0, erased.length >= erasedMax ? 1 : 0)
        erased.push(id)
        const answered = judge.erase(id)
        answered(await trySend('DELETE', `/user/${id}`))
        const next = await make()
        if (next !== undefined) ids.push(next)
        continue
      }
      const id = anyOf(ids)
      const name = `${writer}/${turn}`
      const renamed = judge.rename(id, name)
      const answer = await trySend('PATCH', `/user/${id}`, { name })
      // Another writer has erased it meanwhile.
      if (answer?.status === 404 && !ids.includes(id)) continue
      renamed(answer)
    }
  }
  const read = async () => {
    while (!isOver) {
      const id = anyOf(Math.random() < 0.95 ? ids : erased) || anyOf(ids)
      judge.read(id)(await trySend('GET', `/user/${id}`))
    }
  }
  const work = Promise.all([
    ...Array.from({ length: writers }, (_, writer) => write(writer)),
    ...Array.from({ length: readers }, () => read()),
  ])
  work.catch(() => {})
  atEnd(async () => {
    isOver = true
    await work
  })

  const stage: Stage = {
    judge,
    redisUrl: redis.url,
    databaseUrl: postgres.url,
    killRedis: () => redis.kill(),
    startRedis: async ({ isEmpty }) => {
      if (isEmpty) await rm(join(directory, dump), { force: true })
      redis = await newRedis()
    },
    signalRedis: (signal) => void redis.process.kill(signal),
    killServer: async () => {
      const at = Math.floor(Math.random() * servers.length)
      const port = servers[at]?.port
      await servers[at]?.kill()
      servers[at] = await startServer(directory, envOf(at), port)
    },
    cutOff: async () => {
      await proxy.refuse()
      return proxy.pass
    },
    mislead: async () => {
      await proxy.leadTo({ host: '127.0.0.1', port: otherRedis.port })
      return () => proxy.leadTo({ host: '127.0.0.1', port })
    },
    freezeServer: () => {
      const { pid } = servers[Math.floor(Math.random() * servers.length)] ?? {}
      if (pid === undefined) throw new Error('the server has no process')
      process.kill(pid, 'SIGSTOP')
      return () => void process.kill(pid, 'SIGCONT')
    },
    faultMs: options.faultMs ?? faultMs,
  }
  return {
    stage,
    judge,
    inflict: async ({ isTrouble, inflict }) => {
      const over = isTrouble ? judge.trouble() : () => {}
      await inflict(stage)
      over()
    },
    finish: async () => {
      isOver = true
      await work
      for (const id of judge.ids()) {
        const answer = await until('the servers to answer', async () => {
          const answer = await trySend('GET', `/user/${id}`)
          return answer?.status === 200 || answer?.status === 404 ? answer : undefined
        })
        judge.final(id, answer)
      }
    },
  }
}

type Server = {
  url: string
  port: number
  pid: number | undefined
  kill(): Promise<void>
  stop(): Promise<void>
}

/** A server process that answers. */
export async function startServer(cwd: string, env: Record<string, string>, given?: number): Promise<Server> {
  const port = given ?? (await freePort())
  const child = spawn(process.execPath, [serverBundle()], {
    cwd,
    env: { ...env, PORT: String(port) },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const exited = once(child, 'exit')
  const url = `http://127.0.0.1:${port}`
  await until(
    'a server to start',
    () => {
      if (child.exitCode !== null) throw new Error(`the server stopped with ${child.exitCode}`)
      return fetch(`${url}/health`).then(
        ({ ok }) => ok,
        () => false,
      )
    },
    30_000,
  )
  const end = (signal: NodeJS.Signals) => async () => {
    child.kill(signal)
    await exited
  }
  return { url, port, pid: child.pid, kill: end('SIGKILL'), stop: end('SIGTERM') }
}
