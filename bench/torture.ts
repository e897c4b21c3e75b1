// npm run torture [-- --minutes 2] [--processes 2] [--users 100]: writers and readers on real server processes,
// PostgreSQL and Redis, while these are killed, paused and restarted; a judge who remembers what was
// acknowledged looks at every answer.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Redis } from 'ioredis'
import pg from 'pg'
import { startEmbeddedPostgres } from '../src/connection/embedded-postgres.ts'
import { migrate } from '../src/connection/migrations.ts'
import type { User } from '../src/model/user.ts'
import { startIssuer } from '../test/support/issuer.ts'
import { freePort } from '../test/support/port.ts'
import { type RedisServer, startRedis } from '../test/support/redis.ts'
import { until } from '../test/support/wait.ts'

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '2' },
    processes: { type: 'string', default: '2' },
    users: { type: 'string', default: '100' },
  },
})
const minutes = Number(options.minutes)
const writers = 12
const readers = 24
const faultEveryMs = 4_000
// What docs/operations.md states: a write whose own process cannot reach Redis, while others can, is caught
// up with within some two seconds.
const boundMs = 2_500

const directory = await mkdtemp(join(tmpdir(), 'user-directory-torture-'))
const undo: (() => Promise<unknown>)[] = [() => rm(directory, { recursive: true, force: true })]
try {
  process.exitCode = (await torture()) ? 0 : 1
} finally {
  for (const step of undo.reverse()) await step()
}

type Known = {
  /** The newest version that was acknowledged, and when. */
  version: number
  at: number
  /** The one before it, for the bound. */
  before: number
  acknowledged: number
}

/** @returns whether every promise was kept */
async function torture(): Promise<boolean> {
  const postgres = await startEmbeddedPostgres(join(directory, 'postgres'))
  undo.push(postgres.stop)
  const redisPort = await freePort()
  const dumpFile = 'dump.rdb'
  const newRedis = () =>
    startRedis({ port: redisPort, options: ['--dir', directory, '--dbfilename', dumpFile] })
  let redis: RedisServer = await newRedis()
  undo.push(() => redis.kill())
  const issuer = await startIssuer()
  undo.push(issuer.close)
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
  const servers = await Promise.all(Array.from({ length: Number(options.processes) }, () => startServer(env)))
  undo.push(() => Promise.all(servers.map(({ stop }) => stop())))

  const send = async (method: string, path: string, body?: unknown) => {
    const server = servers[Math.floor(Math.random() * servers.length)]
    const response = await fetch(`${server?.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(10_000),
    })
    return { status: response.status, user: (await response.json()) as User }
  }

  const known = new Map<string, Known>()
  for (let at = 0; at < Number(options.users); at++) {
    const { user } = await send('POST', '/user', { username: `torture.${at}`, password: 'a-good-password' })
    known.set(user.id, { version: user.version, at: 0, before: 0, acknowledged: 0 })
  }
  const ids = [...known.keys()]
  const anyId = () => ids[Math.floor(Math.random() * ids.length)] ?? ''

  const told = { writes: 0, reads: 0, refused: 0, broken: 0, late: 0, stale: 0, wrong: 0, server: 0 }
  const count = (status: number) => {
    if (status === 429 || status === 503) told.refused++
    else told.server++
  }
  let isOver = false
  // When some server may have been unable to reach Redis; else nothing stale is allowed at all.
  let trouble = { from: Number.POSITIVE_INFINITY, until: Number.POSITIVE_INFINITY }
  const wasInTrouble = (at: number) => at >= trouble.from && at <= trouble.until

  const write = async (writer: number) => {
    for (let turn = 0; !isOver; turn++) {
      const id = anyId()
      const name = `${writer}/${turn}`
      const answer = await send('PATCH', `/user/${id}`, { name }).catch(() => undefined)
      const last = known.get(id)
      if (!answer || !last) told.broken++
      else if (answer.status !== 200) count(answer.status)
      else {
        told.writes++
        if (answer.user.name !== name) told.wrong++
        last.acknowledged++
        if (answer.user.version > last.version)
          Object.assign(last, { before: last.version, version: answer.user.version, at: performance.now() })
      }
    }
  }
  const read = async () => {
    while (!isOver) {
      const id = anyId()
      const { version, before, at } = known.get(id) ?? { version: 0, before: 0, at: 0 }
      const startedAt = performance.now()
      const answer = await send('GET', `/user/${id}`).catch(() => undefined)
      if (!answer) told.broken++
      else if (answer.status !== 200) count(answer.status)
      else {
        told.reads++
        if (answer.user.version >= version) continue
        if (wasInTrouble(at) && startedAt - at < boundMs && answer.user.version >= before) told.late++
        else {
          told.stale++
          process.stdout.write(
            `  STALE: version ${answer.user.version} of ${id}, ${version} was acknowledged ${Math.round(startedAt - at)} ms before\n`,
          )
        }
      }
    }
  }

  const faults: [string, () => Promise<void>][] = [
    [
      'Redis is killed, and comes back empty',
      async () => {
        await redis.kill()
        await rm(join(directory, dumpFile), { force: true })
        await pause(1_000)
        redis = await newRedis()
      },
    ],
    [
      'Redis is paused for two seconds',
      async () => {
        redis.process.kill('SIGSTOP')
        await pause(2_000)
        redis.process.kill('SIGCONT')
      },
    ],
    [
      'Redis is restarted with what it had on disk a while ago',
      async () => {
        const client = new Redis(redis.url)
        await client.save()
        client.disconnect()
        await pause(1_000)
        await redis.kill()
        redis = await newRedis()
      },
    ],
    [
      'a server is killed, and started again',
      async () => {
        const at = Math.floor(Math.random() * servers.length)
        const port = servers[at]?.port
        await servers[at]?.kill()
        servers[at] = await startServer(env, port)
      },
    ],
    [
      'PostgreSQL crashes, and recovers',
      async () => {
        const client = new pg.Client({ connectionString: postgres.url })
        client.on('error', () => {})
        await client.connect()
        const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
        // One dead process makes PostgreSQL throw all others out and recover from its log.
        process.kill(rows[0]?.pid ?? -1, 'SIGKILL')
        await client.end().catch(() => {})
      },
    ],
  ]

  process.stdout.write(
    `${servers.length} servers, ${ids.length} users, ${writers} writers, ${readers} readers, ${minutes} min\n`,
  )
  const startedAt = performance.now()
  const work = [
    ...Array.from({ length: writers }, (_, writer) => write(writer)),
    ...Array.from({ length: readers }, () => read()),
  ]
  for (let at = 0; performance.now() - startedAt < minutes * 60_000; at++) {
    await pause(faultEveryMs)
    const [what, fault] = faults[at % faults.length] as (typeof faults)[number]
    process.stdout.write(
      `${String(Math.round((performance.now() - startedAt) / 1_000)).padStart(4)} s  ${what}\n`,
    )
    if (what.startsWith('Redis')) trouble = { from: performance.now(), until: Number.POSITIVE_INFINITY }
    await fault()
    if (what.startsWith('Redis')) trouble.until = performance.now() + boundMs
  }
  await pause(faultEveryMs)
  isOver = true
  await Promise.all(work)

  // Afterwards: everything answers again, and nothing that was acknowledged is lost.
  let lost = 0
  for (const [id, { version, acknowledged }] of known) {
    const user = await until('the servers to answer', async () => {
      const answer = await send('GET', `/user/${id}`).catch(() => undefined)
      return answer?.status === 200 ? answer.user : undefined
    })
    if (user.version < version || user.version - 1 < acknowledged) lost++
  }
  const seconds = (performance.now() - startedAt) / 1_000
  process.stdout.write(`
acknowledged writes   ${told.writes} (${Math.round(told.writes / seconds)}/s)
reads                 ${told.reads} (${Math.round(told.reads / seconds)}/s)
refused (429, 503)    ${told.refused}
connections broken    ${told.broken}
other statuses        ${told.server}
stale                 ${told.stale}
stale within ${boundMs} ms of a write that could not reach Redis   ${told.late}
wrong answers         ${told.wrong}
users with lost writes ${lost}
`)
  return told.stale === 0 && told.wrong === 0 && told.server === 0 && lost === 0
}

type Server = { url: string; port: number; kill(): Promise<void>; stop(): Promise<void> }

async function startServer(env: Record<string, string>, given?: number): Promise<Server> {
  const port = given ?? (await freePort())
  const child: ChildProcess = spawn(process.execPath, [resolve('src/handler/server.ts')], {
    cwd: directory,
    env: { ...env, PORT: String(port) },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const exited = once(child, 'exit')
  const url = `http://127.0.0.1:${port}`
  await until(
    'a server to start',
    () =>
      fetch(`${url}/health`).then(
        ({ ok }) => ok,
        () => false,
      ),
    30_000,
  )
  const end = (signal: NodeJS.Signals) => async () => {
    child.kill(signal)
    await exited
  }
  return { url, port, kill: end('SIGKILL'), stop: end('SIGTERM') }
}
