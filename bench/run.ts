// npm run bench: the speed of the service relative to baselines measured in turn with it. Compare the ratios, because
// absolute figures depend on the machine. `-- --help` lists the options.
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
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
import { startIssuer, tokenSettings } from '../test/support/issuer.ts'
import { freePort } from '../test/support/port.ts'
import { startRedis } from '../test/support/redis.ts'
import { type Compared, compareServers } from './compare-servers.ts'
import { benchConsole } from './console.ts'
import { residentMegabytes } from './figures.ts'
import { benchImport } from './import.ts'
import { benchLighthouse } from './lighthouse.ts'
import { load } from './load.ts'
import { positive } from './options.ts'
import { benchOverload } from './overload.ts'
import { names, parts, usage } from './parts.ts'
import { hasPgbench } from './pgbench.ts'
import { benchRefresh } from './refresh.ts'
import { benchRequests, type Floor, measure, pgbenchFloor, type Row } from './requests.ts'
import { benchRestarts } from './restarts.ts'
import { benchScale } from './scale.ts'
import { benchSearch } from './search.ts'
import { benchServerStart, startFloors, startService } from './servers.ts'
import { benchSignIn } from './sign-in.ts'
import { benchStart } from './start.ts'
import { openUndo } from './undo.ts'

const { values: options } = parseArgs({
  options: {
    users: { type: 'string', default: '100000' },
    seconds: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '5' },
    only: { type: 'string', default: '' },
    help: { type: 'boolean', short: 'h' },
  },
})
let users = 0
let seconds = 0
let rounds = 0

const directory = await mkdtemp(join(tmpdir(), 'user-directory-bench-'))
const undo = openUndo()
// Retries, because a process may still write to the folder while it ends.
undo.push(() => rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 }))
await runCommand(async () => {
  try {
    if (options.help) return void process.stdout.write(usage)
    users = positive('--users', options.users, 'whole')
    seconds = positive('--seconds', options.seconds)
    rounds = positive('--rounds', options.rounds, 'whole')
    if (!parts.some((name) => name.startsWith(options.only)))
      throw new Error(`--only must be the start of one of: ${parts.join('; ')}`)
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
  const ids = ['import', 'scale'].includes(options.only) ? [] : await fill(postgres.url)

  const env = {
    PATH: process.env.PATH ?? '',
    DATABASE_URL: postgres.url,
    REDIS_URL: redis.url,
    ...tokenSettings(issuer.rules),
  }
  const setting = { env, cwd: directory, undo }
  const newUser = () =>
    JSON.stringify({ username: `bench.${randomBytes(8).toString('hex')}`, password: 'a-good-password' })
  const token = await issuer.token({ username: 'bench', 'cognito:groups': ['admins'] })
  const functionStart = async () => {
    const folder = await mkdtemp(join(directory, 'function-'))
    await benchStart({ env, rounds, folder, id: ids[0] ?? '', claims: decodeJwt(token), newUser })
  }
  if (options.only === 'console' || options.only === 'lighthouse') {
    // With the local issuer, which signs in the sample administrator.
    const local = { PATH: env.PATH, DATABASE_URL: postgres.url, REDIS_URL: redis.url }
    const run = options.only === 'console' ? benchConsole : benchLighthouse
    return run({ ...setting, env: local, rounds })
  }
  if (options.only === 'refresh') return benchRefresh(env, rounds)
  if (options.only === 'import') {
    const service = await startService(setting)
    return benchImport({ databaseUrl: postgres.url, service, token, users, rounds, seconds, directory })
  }
  const serverStart = async () => {
    await benchServerStart('PostgreSQL and Redis given', await mkdtemp(join(directory, 'server-')), {
      env,
      rounds,
    })
    await benchServerStart('all embedded', await mkdtemp(join(directory, 'server-')), {
      env: { PATH: env.PATH },
      rounds,
    })
  }
  if (options.only === 'start') {
    await serverStart()
    return functionStart()
  }
  const floor = await startFloors(setting)
  const service = await startService(setting)

  const random = () => ids[Math.floor(Math.random() * ids.length)] ?? ''
  let next = 0
  const fresh = () => ids[next++ % ids.length] ?? ''
  const hot = ids.slice(0, 100)
  const client = new Redis(redis.url)
  undo.push(async () => client.disconnect())
  // The baseline sends the same answers as the service.
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

  // The baselines get the same headers, because parsing them is part of both.
  const nodeFloor = (name: string, path: () => string): Floor => ({
    name: `node:http + ${name}`,
    measure: (connections) => measure(floor, { connections, seconds, request: () => ask('GET', path()) }),
  })
  if (options.only === 'restarts') return benchRestarts(setting, { path: `/user/${hotId()}`, token }, rounds)
  if (options.only === 'scale')
    return benchScale({
      databaseUrl: postgres.url,
      redis: client,
      service,
      token,
      users,
      seconds,
      directory,
      ask: (path) => ask('GET', path),
      fill: (count, suffix) => fill(postgres.url, count, suffix),
    })
  if (options.only === 'clients') {
    // From the sources, because a module within a bundle cannot be replaced.
    const sources = resolve('src/handler/node/server.ts')
    const servers = new Map([
      ['our client', await startService(setting, [sources])],
      ['our client again', await startService(setting, [sources])],
      ['ioredis', await startService(setting, ['--import', resolve('bench/ioredis-client.ts'), sources])],
    ])
    return compareServers(servers, () => ask('GET', `/user/${hotId()}`), rounds)
  }
  if (options.only === 'workers') {
    const start = (settings: Record<string, string>) =>
      startService({ ...setting, env: { ...env, ...settings } })
    const servers = new Map<string, Compared>([
      ['one process', await start({})],
      ['one process again', await start({})],
      // Without Redis, the cache is in the process.
      ['own cache', await startService({ ...setting, env: { ...env, REDIS_URL: '' } })],
      ['metrics', await start({ METRICS_PORT: String(await freePort()) })],
      ['two workers', await start({ WORKERS: '2' })],
      // As many clients for each worker as the one process has.
      ['two, twice clients', { ...(await start({ WORKERS: '2' })), connections: 64 }],
    ])
    return compareServers(servers, () => ask('GET', `/user/${hotId()}`), rounds)
  }
  if (options.only === 'sign-in') {
    const other = await startService(setting)
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
      ...((await hasPgbench()) ? [await pgbenchFloor(postgres.url, seconds)] : []),
      nodeFloor('prepared select', () => `/select/${random()}`),
    ].map((floor) => ({
      name: names.uncached,
      connections: 32,
      before: () => client.flushdb(),
      request: () => ask('GET', `/user/${fresh()}`),
      after: async (answered: number) => {
        if (answered > ids.length)
          throw new Error(`${answered} reads of ${ids.length} users: some were cached. Use more --users`)
      },
      floor,
    })),
    {
      name: names.list,
      connections: 16,
      request: () => ask('GET', '/user?limit=20'),
      floor: nodeFloor('20 rows by index', () => `/list/${random()}`),
    },
    {
      name: names.create,
      connections: 8,
      request: () => ask('POST', '/user', newUser()),
      floor: nodeFloor('Argon2id', () => '/hash/a-good-password'),
    },
  ]
  const chosen = rows.filter(({ name }) => name.startsWith(options.only))
  await benchRequests(service, chosen, { rounds, seconds })
  process.stdout.write(
    `\nresident memory afterwards: ${(await residentMegabytes(service.process)).toFixed(0)} MB\n`,
  )
  if (options.only === '') {
    await search()
    await benchRefresh(env, rounds)
    await functionStart()
    await serverStart()
  }
}

async function fill(databaseUrl: string, count = users, suffix = sampleSuffix()): Promise<string[]> {
  const settings = readSettings({}, join(directory, 'data'))
  const connections = openConnections({ ...settings, databaseUrl }, openLogger('warn'))
  const startedAt = performance.now()
  await seedSamples(connections, count, { suffix })
  process.stdout.write(
    `${count} users stored at ${((count / (performance.now() - startedAt)) * 1000).toFixed(0)}/s\n`,
  )
  await connections.close()
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  await client.query('VACUUM ANALYZE')
  const { rows } = await client.query<{ id: string }>('SELECT id FROM users ORDER BY random() LIMIT 200000')
  await client.end()
  return rows.map(({ id }) => id)
}
