// Measures how a directory grows: the same requests at a hundredth, a tenth and all of the users, with the sizes of tables and
// indexes. docs/scale.md explains the figures.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Redis } from 'ioredis'
import pg from 'pg'
import { copyMark, growUsers, samplesPerCopy } from './grow-users.ts'
import { openJobClient, workedMs } from './jobs.ts'
import { load } from './load.ts'
import type { Target } from './servers.ts'
import { writeUsers } from './user-file.ts'

type Options = {
  databaseUrl: string
  redis: Redis
  service: Target
  token: string
  users: number
  seconds: number
  directory: string
  /** Builds the bytes of a request to a path. */
  ask: (path: string) => string
  /** Stores the samples that are copied, with this suffix. */
  fill: (count: number, suffix: string) => Promise<unknown>
}

const steps = [100, 10, 1]
const importedUsers = 20_000
const readIds = 20_000

/** @throws Error unless `users` is a multiple of a hundred copies of the samples */
export async function benchScale(options: Options): Promise<void> {
  const { users, databaseUrl, fill } = options
  if (users % (100 * samplesPerCopy) !== 0)
    throw new Error(`--users must be a multiple of ${100 * samplesPerCopy} for scale`)
  await fill(samplesPerCopy, `-${copyMark(0)}`)
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    let copies = 1
    for (const step of steps) {
      const to = users / step / samplesPerCopy
      const startedAt = performance.now()
      await growUsers(client, { from: copies, to })
      copies = to
      const seconds = (performance.now() - startedAt) / 1_000
      print(`\n${(users / step).toLocaleString('en')} users (made in ${seconds.toFixed(0)} s)`)
      await printSizes(client, users / step)
      await measureRequests(client, copies, options)
      await measureImport(client, copies, options)
    }
  } finally {
    await client.end()
  }
}

async function printSizes(client: pg.Client, users: number): Promise<void> {
  const { rows } = await client.query<{ name: string; bytes: number }>(`
    SELECT relname AS name, pg_relation_size(oid)::float8 AS bytes FROM pg_class
    WHERE oid IN ('users'::regclass, 'contacts'::regclass)
      OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid IN ('users'::regclass, 'contacts'::regclass))
    ORDER BY 2 DESC`)
  const total = rows.reduce((sum, { bytes }) => sum + bytes, 0)
  const perUser = (bytes: number) => (bytes / users).toFixed(0)
  print(
    `${(total / 1e9).toFixed(2)} GB, ${perUser(total)} bytes a user: ${rows.map(({ name, bytes }) => `${name} ${perUser(bytes)}`).join(', ')}`,
  )
}

async function measureRequests(
  client: pg.Client,
  copies: number,
  { redis, service, seconds, ask }: Options,
): Promise<void> {
  const { rows } = await client.query<{ id: string; made_at: Date }>(
    'SELECT id, created_at AS made_at FROM users TABLESAMPLE SYSTEM (100 * least(1, $1::float8 / $2)) LIMIT $1',
    [readIds, copies * samplesPerCopy],
  )
  const { rows: addresses } = await client.query<{ value: string }>(
    `SELECT value FROM contacts WHERE contact_type = 'EMAIL' LIMIT $1`,
    [readIds],
  )
  const anyRow = () => rows[Math.floor(Math.random() * rows.length)]
  const hot = rows.slice(0, 100).map(({ id }) => id)
  let next = 0
  const mark = () => copyMark(Math.floor(Math.random() * copies))
  const list = (parameters: string) => () => ask(`/user?limit=20${parameters}`)
  const paths: [string, () => string][] = [
    ['cached read', () => ask(`/user/${hot[next++ % hot.length]}`)],
    ['uncached read', () => ask(`/user/${rows[next++ % rows.length]?.id}`)],
    ['newest page', list('')],
    ['page in the middle', () => list(`&created_before=${anyRow()?.made_at.toISOString()}`)()],
    ['page by name', list('&sort=name')],
    ['blocked users', list('&status=BLOCKED&sort=name')],
    ['one attribute', list('&attribute.department=Engines')],
    ['a contact type', list('&contact_type=PHONE&sort=name')],
    ['search, absent word', () => list(`&search=zq${Math.random().toString(36).slice(2, 10)}`)()],
    ['search, 1 user', () => list(`&search=${encodeURIComponent(`.${25 + (next++ % 9_000)}-${mark()}`)}`)()],
    [
      'search, e-mail address',
      () => list(`&search=${encodeURIComponent(addresses[next++ % addresses.length]?.value ?? '')}`)(),
    ],
    ['search, 4 %', list('&search=lovelace')],
    ['search, two words', list(`&search=${encodeURIComponent('ada lovelace')}`)],
    ['search, 4 % at the end', list('&search=zeljko&sort=username')],
    ['exact count, 4 %', list('&search=lovelace&count=exact')],
    ['estimated count', list('&count=estimate')],
  ]
  for (const [name, request] of paths) {
    if (name === 'uncached read') await redis.flushdb()
    const done = await load({ port: service.port, connections: 1, seconds, skipMs: 200 }, request)
    const refused = done.bad + done.rejected
    print(
      `${name.padEnd(24)} p50 ${done.p50Ms.toFixed(2)} ms, p99 ${done.p99Ms.toFixed(2)} ms${refused ? `, ${refused} answers were not 2xx` : ''}`,
    )
  }
}

async function measureImport(
  client: pg.Client,
  copies: number,
  { service, token, directory }: Options,
): Promise<void> {
  const file = join(directory, 'users.ndjson')
  await writeUsers(file, importedUsers, `at${copies}`)
  const jobs = openJobClient(service, token)
  const ms = workedMs(await jobs.finish('import', await jobs.startImport(file)))
  await rm(file)
  print(`import of ${importedUsers}: ${Math.round(importedUsers / (ms / 1_000))}/s`)
  await client.query('VACUUM ANALYZE users, contacts')
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
