// npm run bench [-- --users 1000000] [--seconds 2] [--rounds 5]: how fast the service is, as ratios to
// floors that are measured in turn with it. Machines differ and are shared: the ratios tell, not the figures.
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { Redis } from 'ioredis'
import pg from 'pg'
import { startEmbeddedPostgres } from '../src/connection/embedded-postgres.ts'
import { openLogger } from '../src/connection/logger.ts'
import { migrate } from '../src/connection/migrations.ts'
import { openConnections } from '../src/connection/open.ts'
import { readSettings } from '../src/connection/settings.ts'
import { sampleSuffix, seedSamples } from '../src/services/samples.ts'
import { startIssuer } from '../test/support/issuer.ts'
import { startRedis } from '../test/support/redis.ts'
import { until } from '../test/support/wait.ts'
import { type Load, load } from './load.ts'

const { values: options } = parseArgs({
  options: {
    users: { type: 'string', default: '100000' },
    seconds: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '5' },
  },
})
const users = Number(options.users)
const seconds = Number(options.seconds)
const rounds = Number(options.rounds)

const directory = await mkdtemp(join(tmpdir(), 'user-directory-bench-'))
const undo: (() => Promise<unknown>)[] = [() => rm(directory, { recursive: true, force: true })]
try {
  await bench()
} finally {
  for (const step of undo.reverse()) await step()
}

async function bench(): Promise<void> {
  const postgres = await startEmbeddedPostgres(join(directory, 'postgres'))
  undo.push(postgres.stop)
  const redis = await startRedis()
  undo.push(redis.kill)
  const issuer = await startIssuer()
  undo.push(issuer.close)
  await migrate(postgres.url)
  const ids = await fill(postgres.url)

  const env = {
    PATH: process.env.PATH ?? '',
    DATABASE_URL: postgres.url,
    REDIS_URL: redis.url,
    JWT_ISSUER: issuer.rules.issuer,
    JWT_JWKS_URI: issuer.rules.jwksUri,
    JWT_AUDIENCE: issuer.rules.audience.join(),
  }
  const floor = await startFloors(env)
  const service = await startService(env)
  const token = await issuer.token({ username: 'bench', 'cognito:groups': ['admins'] })

  const random = () => ids[Math.floor(Math.random() * ids.length)] ?? ''
  let next = 0
  const fresh = () => ids[next++ % ids.length] ?? ''
  const hot = ids.slice(0, 100)
  const client = new Redis(redis.url)
  for (const id of hot) await client.set(`bench:${id}`, 'x'.repeat(400))
  client.disconnect()
  const words = [
    'lovelace',
    'hopper',
    '7946',
    'turing',
    'перлман',
    '美羽',
    'desk',
    'johnson',
    'wilson',
    'floor',
  ]
  const word = () => words[Math.floor(Math.random() * words.length)] ?? ''
  const hotId = () => hot[Math.floor(Math.random() * hot.length)] ?? ''

  const ask = (method: string, path: string, body = '') =>
    `${method} ${path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer ${token}\r\n${
      body === '' ? '' : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`
    }\r\n${body}`
  const askFloor = (name: string, value: string) =>
    `GET /${name}/${encodeURIComponent(value)} HTTP/1.1\r\nHost: bench\r\n\r\n`
  const newUser = () =>
    JSON.stringify({ username: `bench.${randomBytes(8).toString('hex')}`, password: 'a-good-password' })

  const rows: [string, number, () => string, string, () => string][] = [
    [
      'cached GET',
      32,
      () => ask('GET', `/user/${hotId()}`),
      'node:http + Redis GET',
      () => askFloor('cached', hotId()),
    ],
    [
      'uncached GET',
      32,
      () => ask('GET', `/user/${fresh()}`),
      'node:http + prepared select',
      () => askFloor('select', random()),
    ],
    [
      'list, 20 a page',
      16,
      () => ask('GET', `/user?limit=20&created_after=${'2020-01-01T00:00:00Z'}`),
      'node:http + 20 rows by index',
      () => askFloor('list', random()),
    ],
    [
      'search, 20 a page',
      16,
      () => ask('GET', `/user?limit=20&search=${encodeURIComponent(word())}`),
      'node:http + LIKE, 20 ids',
      () => askFloor('search', word()),
    ],
    [
      'create',
      8,
      () => ask('POST', '/user', newUser()),
      'node:http + Argon2id',
      () => askFloor('hash', 'a-good-password'),
    ],
  ]
  print('', 'per second', 'p50 ms', 'p99 ms', 'of floor', 'floor')
  for (const [name, connections, request, floorName, floorRequest] of rows) {
    const measured: { ours: Load; floor: Load }[] = []
    // The first round warms up and is not counted.
    for (let round = 0; round <= rounds; round++) {
      const ours = await load({ port: service.port, connections, seconds }, request)
      const theirs = await load({ port: floor.port, connections, seconds }, floorRequest)
      if (ours.bad + theirs.bad > 0)
        throw new Error(`${name}: ${ours.bad} and ${theirs.bad} answers were not 2xx`)
      if (round > 0) measured.push({ ours, floor: theirs })
    }
    const ratio = median(measured.map(({ ours, floor }) => ours.perSecond / floor.perSecond))
    print(
      name,
      median(measured.map(({ ours }) => ours.perSecond)).toFixed(0),
      median(measured.map(({ ours }) => ours.p50Ms)).toFixed(2),
      median(measured.map(({ ours }) => ours.p99Ms)).toFixed(2),
      ratio.toFixed(2),
      `${floorName}: ${median(measured.map(({ floor }) => floor.perSecond)).toFixed(0)}/s, p99 ${median(measured.map(({ floor }) => floor.p99Ms)).toFixed(2)} ms`,
    )
  }
  process.stdout.write(`\nresident memory after all that: ${await residentMegabytes(service.process)} MB\n`)
  await starts()
}

async function fill(databaseUrl: string): Promise<string[]> {
  const settings = readSettings({}, join(directory, 'data'))
  const connections = openConnections({ ...settings, databaseUrl }, openLogger('warn'))
  const startedAt = performance.now()
  await seedSamples(connections, users, sampleSuffix())
  process.stdout.write(
    `${users} users stored at ${((users / (performance.now() - startedAt)) * 1000).toFixed(0)}/s\n`,
  )
  await connections.close()
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  await client.query('VACUUM ANALYZE')
  const { rows } = await client.query<{ id: string }>('SELECT id FROM users ORDER BY random() LIMIT 200000')
  await client.end()
  return rows.map(({ id }) => id)
}

async function startFloors(env: Record<string, string>): Promise<{ port: number }> {
  const child = spawn(process.execPath, [resolve('bench/floors.ts')], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  undo.push(() => stop(child))
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer]
  return { port: Number(chunk.toString()) }
}

async function startService(env: Record<string, string>): Promise<{ port: number; process: ChildProcess }> {
  const port = await freePort()
  // Its log lines are written, as in production, but nobody reads them.
  const child = spawn(process.execPath, [resolve('src/handler/server.ts')], {
    cwd: directory,
    env: { ...env, PORT: String(port) },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  undo.push(() => stop(child))
  await until('the service to start', () => isUp(port), 30_000)
  return { port, process: child }
}

/** From nothing to the first answer, with an embedded PostgreSQL that has its data already. */
async function starts(): Promise<void> {
  const cwd = await mkdtemp(join(tmpdir(), 'user-directory-start-'))
  undo.push(() => rm(cwd, { recursive: true, force: true }))
  const figures: number[] = []
  for (let start = 0; start <= rounds; start++) {
    const port = await freePort()
    const startedAt = performance.now()
    const child = spawn(process.execPath, [resolve('src/handler/server.ts')], {
      cwd,
      env: { PATH: process.env.PATH ?? '', PORT: String(port) },
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    await until('the first answer', () => isUp(port), 60_000)
    figures.push(performance.now() - startedAt)
    await stop(child)
  }
  const [first = 0, ...later] = figures
  process.stdout.write(
    `start to first answer, all embedded: first ${(first / 1000).toFixed(2)} s, later ${(median(later) / 1000).toFixed(2)} s\n`,
  )
}

async function isUp(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/health`).then(
    ({ ok }) => ok,
    () => false,
  )
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const exit = once(child, 'exit')
  child.kill('SIGTERM')
  await exit
}

async function residentMegabytes({ pid }: ChildProcess): Promise<string> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return (Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN) / 1024).toFixed(0)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

function median(figures: number[]): number {
  return figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)] ?? Number.NaN
}

function print(name: string, ...cells: string[]): void {
  const [rate = '', p50 = '', p99 = '', ratio = '', floor = ''] = cells
  process.stdout.write(
    `${name.padEnd(20)}${rate.padStart(11)}${p50.padStart(9)}${p99.padStart(9)}${ratio.padStart(10)}   ${floor}\n`,
  )
}
