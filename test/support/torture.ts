// Readers and writers on real servers, PostgreSQL and Redis, while these are killed, paused, cut off and restarted. A judge
// checks every answer. `npm run torture` runs it long, the suite short.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import pg from 'pg'
import { migrate } from '../../src/connection/postgres/migrations.ts'
import { startEmbeddedPostgres } from '../../src/dev/embedded-postgres.ts'
import type { User } from '../../src/model/user.ts'
import { startIssuer, tokenSettings } from './issuer.ts'
import { createJudge, type Judge } from './judge.ts'
import { startServer } from './started-server.ts'
import { clusterStage, type RedisStage, startSingleRedis } from './torture-redis.ts'
import { until } from './wait.ts'

// As docs/reliability.md states: if a server cannot reach Redis while others can, the others see its writes within this
// time.
export const boundMs = 2_500

/** A server that lost Redis warns once, and is assumed to have it again after this time. */
const reportedMs = 5_000

const writers = 12
const readers = 24
// One in this many writes erases a user and creates another.
const eraseEvery = 50
// The number of erased users that are still read.
const erasedMax = 10

/** The means by which faults affect the system. */
export type Stage = RedisStage & {
  judge: Judge
  databaseUrl: string
  /** Kills one of the servers with SIGKILL and restarts it. */
  killServer(): Promise<void>
  /** Stops one of the servers by a signal until the returned function is called. */
  freezeServer(): () => void
  /** How long a lasting fault lasts. */
  faultMs: number
}

/** @property isTrouble during the fault, some server may not reach Redis while another can */
export type Fault = { what: string; isTrouble: boolean; inflict(stage: Stage): Promise<void> }

// Part of the fault itself: clients continue meanwhile, and no test waits for it.
const faultMs = 1_000

/** A fault in which Redis answers reads and rejects writes, from `inflict` to `lift`. */
function writeRejection(
  what: string,
  inflict: (redis: Redis) => Promise<unknown>,
  lift: (redis: Redis) => Promise<unknown>,
): Fault {
  return {
    what: `Redis answers reads and rejects writes: ${what}`,
    isTrouble: true,
    inflict: async ({ redisUrl, faultMs }) => {
      const redis = new Redis(redisUrl)
      redis.on('error', () => {})
      try {
        await inflict(redis)
        await delay(faultMs)
        await lift(redis)
      } finally {
        redis.disconnect()
      }
    },
  }
}

export const faults: Fault[] = [
  {
    what: 'Redis is killed and restarts empty',
    isTrouble: true,
    inflict: async ({ killRedis, startRedis }) => {
      await killRedis()
      await delay(faultMs)
      await startRedis({ isEmpty: true })
    },
  },
  {
    what: 'Redis is paused for two seconds',
    isTrouble: true,
    inflict: async ({ signalRedis }) => {
      signalRedis('SIGSTOP')
      await delay(2 * faultMs)
      signalRedis('SIGCONT')
    },
  },
  {
    what: 'Redis restarts with an old snapshot',
    isTrouble: true,
    inflict: async ({ redisUrl, killRedis, startRedis }) => {
      const client = new Redis(redisUrl)
      await client.save()
      client.disconnect()
      await delay(faultMs)
      await killRedis()
      await startRedis({ isEmpty: false })
    },
  },
  {
    what: 'one server cannot reach Redis',
    isTrouble: true,
    inflict: async ({ cutOff, faultMs }) => {
      const restore = await cutOff()
      await delay(faultMs)
      await restore()
    },
  },
  {
    what: 'a server is killed and restarts',
    isTrouble: false,
    inflict: ({ killServer }) => killServer(),
  },
  {
    what: 'PostgreSQL crashes and recovers',
    isTrouble: false,
    inflict: async ({ databaseUrl }) => {
      const client = new pg.Client({ connectionString: databaseUrl })
      client.on('error', () => {})
      await client.connect()
      const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
      // After a crashed backend, PostgreSQL disconnects all others and recovers from its log.
      process.kill(rows[0]?.pid ?? -1, 'SIGKILL')
      await client.end().catch(() => {})
    },
  },
  writeRejection(
    'too few replicas (NOREPLICAS)',
    (redis) => redis.config('SET', 'min-replicas-to-write', 1),
    (redis) => redis.config('SET', 'min-replicas-to-write', 0),
  ),
  writeRejection(
    'it was demoted (READONLY)',
    (redis) => redis.replicaof('127.0.0.1', 1),
    (redis) => redis.replicaof('NO', 'ONE'),
  ),
  writeRejection(
    'its user may not write (NOPERM)',
    (redis) => redis.acl('SETUSER', 'default', '-@write'),
    (redis) => redis.acl('SETUSER', 'default', '+@all'),
  ),
  writeRejection(
    'its memory is full (OOM)',
    (redis) => redis.config('SET', 'maxmemory', 1),
    (redis) => redis.config('SET', 'maxmemory', 0),
  ),
  {
    what: 'one server is connected to another Redis and back',
    isTrouble: true,
    inflict: async ({ mislead, faultMs }) => {
      const restore = await mislead()
      await delay(faultMs)
      await restore()
    },
  },
  {
    // An invalidation in flight then times out from the server's point of view.
    what: 'a server is frozen for a while',
    isTrouble: true,
    inflict: async ({ freezeServer }) => {
      const thaw = freezeServer()
      await delay(2 * faultMs)
      thaw()
    },
  },
]

export type Torture = {
  stage: Stage
  judge: Judge
  /** Injects the fault while the clients continue. */
  inflict(fault: Fault): Promise<void>
  /** Stops the clients, waits until all servers answer, and checks the final state. */
  finish(): Promise<void>
}

/**
 * Starts the servers, creates the users, and starts the clients.
 * @param options.clusterUrl instead of a Redis of its own; `copyCluster` fills PostgreSQL's folder; `pauseMs` between
 * the requests of a client from the first fault on, none by default
 * @param atEnd receives the steps to clean up, to run in reverse order
 */
export async function startTorture(
  options: {
    processes: number
    users: number
    faultMs?: number
    clusterUrl?: string
    copyCluster?: (directory: string) => Promise<void>
    pauseMs?: number
  },
  atEnd: (step: () => Promise<unknown>) => void,
): Promise<Torture> {
  const directory = await mkdtemp(join(tmpdir(), 'user-directory-torture-'))
  atEnd(() => rm(directory, { recursive: true, force: true }))
  await options.copyCluster?.(join(directory, 'postgres'))
  const postgres = await startEmbeddedPostgres(join(directory, 'postgres'))
  atEnd(postgres.stop)
  const redis = options.clusterUrl
    ? clusterStage(options.clusterUrl)
    : await startSingleRedis(directory, atEnd)
  const issuer = await startIssuer()
  atEnd(issuer.close)
  await migrate(postgres.url)
  const token = await issuer.machineToken('users/write')

  const env = {
    PATH: process.env.PATH ?? '',
    DATABASE_URL: postgres.url,
    ...tokenSettings(issuer.rules),
    LOG_LEVEL: 'warn',
  }
  // The first server reaches Redis through a proxy, which can be cut off.
  const envOf = (at: number) => ({ ...env, REDIS_URL: at === 0 ? redis.proxiedUrl : redis.redisUrl })
  const judge = createJudge(boundMs)
  // A starved machine delays calls to Redis too. Such a server says so, and the promise then has its bound.
  const onLogLine = (line: string) => {
    if (!line.includes('"cache unavailable')) return
    const { timestamp } = JSON.parse(line) as { timestamp: string }
    const over = judge.trouble(Date.parse(timestamp) - performance.timeOrigin)
    setTimeout(over, reportedMs).unref()
  }
  const servers = await Promise.all(
    Array.from({ length: options.processes }, (_, at) => startServer(directory, envOf(at), { onLogLine })),
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

  let made = 0
  /** @returns undefined if the request was rejected */
  const make = async (): Promise<string | undefined> => {
    const username = `torture.${made++}`
    const { status, id, version = 0 } = (await trySend('POST', '/user', { username, password: null })) ?? {}
    if (status !== 201 || id === undefined) return undefined
    judge.add(id, version)
    return id
  }
  /** The users that are currently read and written. */
  const ids = await Promise.all(
    Array.from({ length: options.users }, () => until('a user to be created', make, 60_000)),
  )
  const anyOf = (some: string[]) => some[Math.floor(Math.random() * some.length)] ?? ''
  const erased: string[] = []

  let isOver = false
  let pauseMs = 0
  const write = async (writer: number) => {
    for (let turn = 1; !isOver; turn++) {
      if (pauseMs > 0) await delay(pauseMs)
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
      // Another writer has erased the user meanwhile.
      if (answer?.status === 404 && !ids.includes(id)) continue
      renamed(answer)
    }
  }
  const read = async () => {
    while (!isOver) {
      if (pauseMs > 0) await delay(pauseMs)
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
    ...redis,
    databaseUrl: postgres.url,
    killServer: async () => {
      const at = Math.floor(Math.random() * servers.length)
      const port = servers[at]?.port
      await servers[at]?.kill()
      servers[at] = await startServer(directory, envOf(at), { port, onLogLine })
    },
    freezeServer: () => {
      const { pid } = servers[Math.floor(Math.random() * servers.length)] ?? {}
      if (pid === undefined) throw new Error('the server has no process')
      process.kill(pid, 'SIGSTOP')
      return () => void process.kill(pid, 'SIGCONT')
    },
    faultMs: options.faultMs ?? faultMs,
  }
  let boundedAt = 0
  return {
    stage,
    judge,
    inflict: async ({ isTrouble, inflict }) => {
      const over = isTrouble ? judge.trouble() : () => {}
      pauseMs = options.pauseMs ?? 0
      await inflict(stage)
      over()
      if (isTrouble) boundedAt = performance.now() + boundMs
    },
    finish: async () => {
      isOver = true
      await work
      // Until then, a server may still answer with what it trusted before the last fault.
      await until('the bound after the last fault to pass', () => performance.now() > boundedAt)
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
