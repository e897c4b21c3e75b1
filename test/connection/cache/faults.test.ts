// Two servers on a Redis that answers reads but rejects removals, for one reason after another.
import { Redis } from 'ioredis'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import type { User } from '../../../src/model/user.ts'
import { startProxy } from '../../support/proxy.ts'
import { startRedis } from '../../support/redis.ts'
import { run } from '../../support/server-process.ts'
import { type Service, startService, uniqueName } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

/** As docs/reliability.md states them. */
const staleMsMax = 2_500
const blockMsMax = 3_000

// A background save that fails makes Redis refuse writes: nothing can be written below /proc.
const redis = await startRedis({ options: ['--dir', '/proc', '--save', '3600 1'] })
afterAll(redis.kill)
const admin = new Redis(redis.url)
afterAll(() => admin.disconnect())
const A = await startService({ env: { REDIS_URL: redis.url } })
const B = await startService({ env: { REDIS_URL: redis.url }, beside: A })

type Refusal = { inflict(): Promise<unknown>; lift(): Promise<unknown> }

const refusals: Record<string, Refusal> = {
  'too few replicas (NOREPLICAS)': {
    inflict: () => admin.config('SET', 'min-replicas-to-write', 1),
    lift: () => admin.config('SET', 'min-replicas-to-write', 0),
  },
  'a failed save to disk (MISCONF)': {
    inflict: async () => {
      await admin.bgsave()
      await until('the save to fail', async () => {
        const info = await admin.info('persistence')
        return /rdb_last_bgsave_status:err/.test(info)
      })
    },
    lift: () => admin.config('SET', 'stop-writes-on-bgsave-error', 'no'),
  },
  'a primary that was demoted (READONLY)': {
    // Of a primary that does not exist: it keeps its data and answers reads.
    inflict: () => admin.replicaof('127.0.0.1', 1),
    lift: () => admin.replicaof('NO', 'ONE'),
  },
  'a user without the right to write (NOPERM)': {
    inflict: () => admin.acl('SETUSER', 'default', '-@write'),
    lift: () => admin.acl('SETUSER', 'default', '+@all'),
  },
  'no memory left (OOM)': {
    inflict: () => admin.config('SET', 'maxmemory', 1),
    lift: () => admin.config('SET', 'maxmemory', 0),
  },
  'a script without end (BUSY)': {
    inflict: async () => {
      await admin.config('SET', 'busy-reply-threshold', 50)
      const script = new Redis(redis.url)
      script.on('error', () => {})
      script.eval('while true do end', 0).catch(() => {})
      await until('Redis to be busy', () =>
        admin.ping().then(
          () => false,
          () => true,
        ),
      )
      script.disconnect()
    },
    lift: () => admin.script('KILL'),
  },
}

const isHit = async ({ call }: Service, { id }: User) =>
  (await call('GET', `/user/${id}`)).headers.get('x-cache') === 'hit'

/** Reads until the answer is new. No read that is sent after the bound may be old. */
async function turnsNew(what: string, boundMs: number, read: () => Promise<boolean>): Promise<void> {
  const answeredAt = performance.now()
  await until(what, async () => {
    const sentAt = performance.now()
    const isNew = await read()
    if (!isNew && sentAt - answeredAt > boundMs)
      throw new Error(`an old answer ${Math.round(sentAt - answeredAt)} ms after the change was answered`)
    return isNew
  })
}

describe.each(Object.entries(refusals))('%s', (_name, { inflict, lift }) => {
  it('serves nothing older than the bound, rejects a blocked user in time, and recovers', async () => {
    const user = await A.makeUser()
    const blocked = await A.makeUser()
    const token = await A.issuer.token({ username: blocked.username })
    const readsOwn = async () => (await B.call('GET', `/user/${blocked.id}`, { token })).status === 200
    await until('both entries', async () => (await isHit(B, user)) && (await readsOwn()))

    await inflict()
    let isLifted = false
    onTestFinished(async () => void (isLifted || (await lift())))
    const changed = await A.call('PATCH', `/user/${user.id}`, { json: { name: 'changed' } })
    expect([changed.status, changed.body.version]).toEqual([200, 2])
    await turnsNew(
      'the change on the other server',
      staleMsMax,
      async () => (await B.call('GET', `/user/${user.id}`)).body.version === 2,
    )
    expect((await A.call('PATCH', `/user/${blocked.id}`, { json: { status: 'BLOCKED' } })).status).toBe(200)
    await turnsNew('the block on the other server', blockMsMax, async () => !(await readsOwn()))

    await lift()
    isLifted = true
    for (const server of [A, B]) await until('the cache to be used again', () => isHit(server, user))
    expect((await B.call('GET', `/user/${user.id}`)).body.version).toBe(2)
    expect(await readsOwn()).toBe(false)
  })
})

it('a server on a Redis that others have left serves no stale reads', async () => {
  const other = await startRedis()
  onTestFinished(other.kill)
  const way = await startProxy({ host: '127.0.0.1', port: redis.port })
  onTestFinished(way.close)
  const moved = await startService({ env: { REDIS_URL: `redis://127.0.0.1:${way.port}` }, beside: A })
  const user = await A.makeUser()
  await until('the entry', () => isHit(moved, user))
  // The name leads to another server from now on; the open connection of A does not follow.
  await way.leadTo({ host: '127.0.0.1', port: other.port })
  await until('the other server to be used', async () => (await isHit(moved, user)) || undefined)
  for (let version = 2; version < 5; version++) {
    const { status } = await A.call('PATCH', `/user/${user.id}`, { json: { name: `${version}` } })
    expect(status).toBe(200)
    await turnsNew(
      'the change on the other server',
      staleMsMax,
      async () => (await moved.call('GET', `/user/${user.id}`)).body.version === version,
    )
  }
  await way.leadTo({ host: '127.0.0.1', port: redis.port })
  await until(
    'both to use the same server',
    async () => (await isHit(A, user)) && (await isHit(moved, user)),
    60_000,
  )
})

it('executes invalidations whatever the clock said when they were recorded', async () => {
  const user = await A.makeUser()
  await until('the entry', () => isHit(B, user))
  const { db } = A.connections
  // A writer that died before it could remove the entry, while the database's clock was an hour ahead.
  await db.query((queries) =>
    queries.prepared(
      'future-invalidation',
      `
      WITH changed AS (UPDATE users SET version = version + 1 WHERE id = $1 RETURNING id)
      INSERT INTO cache_invalidations (user_id, names, created_at) SELECT id, '{}', now() + interval '1 h' FROM changed`,
      [user.id],
    ),
  )
  await turnsNew(
    'the change',
    staleMsMax,
    async () => (await B.call('GET', `/user/${user.id}`)).body.version === 2,
  )
})

it('rejects a Redis in cluster mode at the start, and says what to do', async () => {
  const cluster = await startRedis({
    options: ['--cluster-enabled', 'yes', '--cluster-config-file', `nodes-${uniqueName()}.conf`],
  })
  onTestFinished(cluster.kill)
  const server = await run(process.cwd(), {
    DATABASE_URL: A.databaseUrl,
    REDIS_URL: cluster.url,
    JWT_ISSUER: A.issuer.rules.issuer,
    JWT_AUDIENCE: A.issuer.rules.audience.join(),
  })
  expect(await server.exit).toBe(1)
  expect(server.output()).toContain('REDIS_URL leads to a server in cluster mode. Add ?cluster=true to it.')
})
