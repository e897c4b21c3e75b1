// npm run bench [-- --users 1000000] [--seconds 2] [--rounds 5] [--only cached]: how fast the service is, as ratios
// to floors that are measured in turn with it. Machines differ and are shared: the ratios tell, not the figures.
// `--only` takes the rows whose names begin so and nothing else; `--only refresh` the daily revalidation, `--only search`
// searches, `--only sign-in` passwords and blocks, `--only overload` ten times the load that can be served, `--only start` the
// function's start, `--only clients` our Redis client beside ioredis.
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { Redis } from 'ioredis'
import { decodeJwt } from 'jose'
import pg from 'pg'
import { runCommand } from '../src/cli/command.ts'
import { openConnections } from '../src/connection/open.ts'
import { migrate } from '../src/connection/postgres/migrations.ts'
import { startEmbeddedPostgres } from '../src/dev/embedded-postgres.ts'
import { sampleSuffix, seedSamples } from '../src/dev/samples.ts'
import { openLogger } from '../src/platform/logger.ts'
import { readSettings } from '../src/platform/settings.ts'
import { startIssuer } from '../test/support/issuer.ts'
import { startRedis } from '../test/support/redis.ts'
import { until } from '../test/support/wait.ts'
import { serverBundle } from '../tools/server-bundle.mjs'
import { benchClients } from './clients.ts'
import { median, residentMegabytes } from './figures.ts'
import { load } from './load.ts'
import { positive } from './options.ts'
import { benchOverload } from './overload.ts'
import { hasPgbench, pgbench, preparePgbench } from './pgbench.ts'
import { benchRefresh } from './refresh.ts'
import { benchSearch } from './search.ts'
import { benchSignIn } from './sign-in.ts'
import { benchStart } from './start.ts'
import { openUndo } from './undo.ts'

const { values: options } = parseArgs({
  options: {
    users: { type: 'string', default: '100000' },
    seconds: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '5' },
    only: { type: 'string', default: '' },
  },
})
const names = {
  cached: 'cached GET',
  uncached: 'uncached GET',
  list: 'list, 20 a page',
  create: 'create',
}
let users = 0
let seconds = 0
let rounds = 0

type Figures = { perSecond: number; p99Ms: number; cpuUs: number }
type Floor = { name: string; measure(connections: number): Promise<Figures> }
type Row = {
  name: string
  connections: number
  request: () => string
  floor: Floor
  before?(): Promise<unknown>
  /** Told how many requests were answered. @throws Error when they were not what the row is about */
  after?(answered: number): Promise<void>
}

const directory = await mkdtemp(join(tmpdir(), 'user-directory-bench-'))
const undo = openUndo()
// Again where a process that is being ended has just written something.
undo.push(() => rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 }))
await runCommand(async () => {
  try {
    users = positive('--users', options.users, 'whole')
    seconds = positive('--seconds', options.seconds)
    rounds = positive('--rounds', options.rounds, 'whole')
    const parts = [...Object.values(names), 'search', 'refresh', 'sign-in', 'overload', 'start', 'clients']
    if (!parts.some((name) => name.startsWith(options.only)))
      throw new Error(`--only must begin one of: ${parts.join('; ')}`)
    await bench()
  } finally {
    await undo.run()
  }
})

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
  const newUser = () =>
    JSON.stringify({ username: `bench.${randomBytes(8).toString('hex')}`, password: 'a-good-password' })
  const token = await issuer.token({ username: 'bench', 'cognito:groups': ['admins'] })
  const functionStart = async () => {
    const folder = await mkdtemp(join(directory, 'function-'))
    await benchStart({ env, rounds, folder, id: ids[0] ?? '', claims: decodeJwt(token), newUser })
  }
  if (options.only === 'refresh') return benchRefresh(env, rounds)
  const serverStart = async () => {
    await serverStarts('PostgreSQL and Redis given', env)
    await serverStarts('all embedded', { PATH: env.PATH })
  }
  if (options.only === 'start') {
    await serverStart()
    return functionStart()
  }
  const floor = await startFloors(env)
  const service = await startService(env)

  const random = () => ids[Math.floor(Math.random() * ids.length)] ?? ''
  let next = 0
  const fresh = () => ids[next++ % ids.length] ?? ''
  const hot = ids.slice(0, 100)
  const client = new Redis(redis.url)
  undo.push(async () => client.disconnect())
  // The floor answers what the service does.
  for (const id of hot) {
    const user = await fetch(`http://127.0.0.1:${service.port}/user/${id}`, {
      headers: { authorization: `Bearer ${token}` },
    })
    await client.set(`bench:${id}`, await user.text())
  }
  const hotId = () => hot[Math.floor(Math.random() * hot.length)] ?? ''

  const ask = (method: string, path: string, body = '') =>
    `${method} ${path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer ${token}\r\n${
      body === '' ? '' : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`
    }\r\n${body}`

  // The same headers go to the floors: what they cost Node they cost everybody.
  const nodeFloor = (name: string, path: () => string): Floor => ({
    name: `node:http + ${name}`,
    measure: (connections) => measure(floor, connections, () => ask('GET', path())),
  })
  if (options.only === 'clients') {
    // From the sources, since a module of a bundle cannot be exchanged.
    const sources = resolve('src/handler/node/server.ts')
    const servers = new Map([
      ['our client', await startService(env, [sources])],
      ['our client again', await startService(env, [sources])],
      ['ioredis', await startService(env, ['--import', resolve('bench/ioredis-client.ts'), sources])],
    ])
    return benchClients(servers, () => ask('GET', `/user/${hotId()}`), rounds)
  }
  if (options.only === 'sign-in') {
    const other = await startService(env)
    await load({ port: service.port, connections: 4, seconds: 1 }, () => ask('GET', `/user/${hotId()}`))
    return benchSignIn({
      env,
      rounds,
      ports: [service.port, other.port],
      token: (username, groups = []) => issuer.token({ username, 'cognito:groups': groups }),
      cachedRead: () => ask('GET', `/user/${hotId()}`),
      newUser: () => ask('POST', '/user', newUser()),
      floor: {
        port: floor.port,
        cachedRead: () => ask('GET', `/cached/${hotId()}`),
        hash: () => ask('GET', '/hash/a-good-password'),
      },
    })
  }
  const search = () =>
    benchSearch({
      users,
      rounds,
      seconds,
      ports: { service: service.port, floor: floor.port },
      ask: (path) => ask('GET', path),
    })
  if (options.only === 'search') return search()
  if (options.only === 'overload')
    return benchOverload({
      rounds,
      seconds,
      service,
      redis: redis.process,
      cachedRead: () => ask('GET', `/user/${hotId()}`),
    })
  const rows: Row[] = [
    {
      name: names.cached,
      connections: 32,
      request: () => ask('GET', `/user/${hotId()}`),
      floor: nodeFloor('Redis GET', () => `/cached/${hotId()}`),
    },
    ...[
      ...((await hasPgbench()) ? [await pgbenchFloor(postgres.url)] : []),
      nodeFloor('prepared select', () => `/select/${random()}`),
    ].map((floor) => ({
      name: names.uncached,
      connections: 32,
      before: () => client.flushdb(),
      request: () => ask('GET', `/user/${fresh()}`),
      after: async (answered: number) => {
        if (answered > ids.length)
          throw new Error(`${answered} reads of ${ids.length} users: some were cached. Take more --users`)
      },
      floor,
    })),
    {
      name: names.list,
      connections: 16,
      request: () => ask('GET', `/user?limit=20&created_after=${'2020-01-01T00:00:00Z'}`),
      floor: nodeFloor('20 rows by index', () => `/list/${random()}`),
    },
    {
      name: names.create,
      connections: 8,
      request: () => ask('POST', '/user', newUser()),
      floor: nodeFloor('Argon2id', () => '/hash/a-good-password'),
    },
  ]
  print('', 'per second', 'CPU µs', 'p50 ms', 'p99 ms', 'of floor', "p99's", 'floor')
  for (const { name, connections, request, floor, before, after } of rows) {
    if (!name.startsWith(options.only)) continue
    const measured: { ours: Figures & { p50Ms: number }; floor: Figures }[] = []
    // The first round warms up and is not counted.
    for (let round = 0; round <= rounds; round++) {
      await before?.()
      const ours = await measure(service, connections, request)
      await after?.(ours.answered)
      const theirs = await floor.measure(connections)
      if (round > 0) measured.push({ ours, floor: theirs })
    }
    const middle = (figure: (round: (typeof measured)[number]) => number, digits: number) =>
      median(measured.map(figure)).toFixed(digits)
    print(
      name,
      middle(({ ours }) => ours.perSecond, 0),
      middle(({ ours }) => ours.cpuUs, 1),
      middle(({ ours }) => ours.p50Ms, 2),
      middle(({ ours }) => ours.p99Ms, 2),
      middle(({ ours, floor }) => ours.perSecond / floor.perSecond, 2),
      middle(({ ours, floor }) => ours.p99Ms / floor.p99Ms, 2),
      `${floor.name}: ${middle(({ floor }) => floor.perSecond, 0)}/s, CPU ${middle(({ floor }) => floor.cpuUs, 1)} µs, p99 ${middle(({ floor }) => floor.p99Ms, 2)} ms`,
    )
  }
  process.stdout.write(
    `\nresident memory after all that: ${(await residentMegabytes(service.process)).toFixed(0)} MB\n`,
  )
  if (options.only === '') {
    await search()
    await benchRefresh(env, rounds)
    await functionStart()
    await serverStart()
  }
}

type Target = { port: number; process: ChildProcess }

/** @throws Error when an answer was not 2xx */
async function measure(target: Target, connections: number, request: () => string) {
  const before = await cpuTicks(target.process)
  const done = await load({ port: target.port, connections, seconds }, request)
  const ticks = (await cpuTicks(target.process)) - before
  if (done.bad + done.refused > 0) throw new Error(`${done.bad + done.refused} answers were not 2xx`)
  const answered = Math.round(done.perSecond * seconds)
  // A hundred ticks a second, everywhere that Linux runs.
  return { ...done, answered, cpuUs: (ticks * 10_000) / answered }
}

/** The processor time that a process has used; not a number where there is no /proc. */
async function cpuTicks({ pid }: ChildProcess): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // Its name, in brackets, may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return Number(fields[11]) + Number(fields[12])
}

async function pgbenchFloor(url: string): Promise<Floor> {
  const own = Object.assign(new URL(url), { pathname: '/pgbench' }).href
  const admin = new pg.Client({ connectionString: url })
  await admin.connect()
  await admin.query('CREATE DATABASE pgbench')
  await admin.end()
  await preparePgbench(own)
  return {
    name: 'pgbench, prepared select',
    measure: async (connections) => ({
      ...(await pgbench(own, { connections, seconds })),
      p99Ms: Number.NaN,
      cpuUs: Number.NaN,
    }),
  }
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

async function startFloors(env: Record<string, string>): Promise<Target> {
  const child = spawn(process.execPath, [resolve('bench/floors.ts')], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  undo.push(() => stop(child))
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer]
  return { port: Number(chunk.toString()), process: child }
}

async function startService(env: Record<string, string>, program = [serverBundle()]): Promise<Target> {
  const port = await freePort()
  // Its log lines are written, as in production, but nobody reads them.
  const child = spawn(process.execPath, program, {
    cwd: directory,
    env: { ...env, PORT: String(port) },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  undo.push(() => stop(child))
  await until('the service to start', () => isUp(port), 30_000)
  return { port, process: child }
}

/** From the start of `npm start`'s process to the first answer. The first round may build the bundle or make the database. */
async function serverStarts(name: string, env: Record<string, string>): Promise<void> {
  const cwd = await mkdtemp(join(directory, 'server-'))
  const figures: { seconds: number; megabytes: number }[] = []
  for (let start = 0; start <= rounds; start++) {
    const port = await freePort()
    const startedAt = performance.now()
    const child = spawn(process.execPath, [resolve('tools/start.mjs')], {
      cwd,
      env: { ...env, PORT: String(port) },
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    await until('the first answer', () => isUp(port), 60_000)
    const seconds = (performance.now() - startedAt) / 1000
    figures.push({ seconds, megabytes: await residentMegabytes(child) })
    await stop(child)
  }
  const [first, ...later] = figures
  const seconds = median(later.map(({ seconds }) => seconds)).toFixed(2)
  const megabytes = median(later.map(({ megabytes }) => megabytes)).toFixed(0)
  process.stdout.write(
    `start of the server, ${name}: first ${first?.seconds.toFixed(2)} s, later ${seconds} s, resident ${megabytes} MB\n`,
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

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

function print(name: string, ...cells: string[]): void {
  const figures = cells.slice(0, -1).map((cell) => cell.padStart(11))
  process.stdout.write(`${name.padEnd(18)}${figures.join('')}   ${cells.at(-1)}\n`)
}
