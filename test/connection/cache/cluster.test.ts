// The cache on a real cluster of three primaries: keys by slot, moves, failover, and records by slot.
import { randomUUID } from 'node:crypto'
import { afterAll, describe, expect, inject, it, onTestFinished } from 'vitest'
import { type Cache, usernameKey } from '../../../src/connection/cache/cache.ts'
import { openRedisCache } from '../../../src/connection/cache/redis-cache.ts'
import { clusterKeys } from '../../../src/connection/cache/redis-keys.ts'
import { openPostgres } from '../../../src/connection/postgres/postgres.ts'
import { slotOf } from '../../../src/connection/redis/slots.ts'
import { freshDatabase } from '../../support/database.ts'
import { type ClusterNode, startRedisCluster } from '../../support/redis-cluster.ts'
import { until } from '../../support/wait.ts'

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const entry = (version: number) => Buffer.from(`${version}\n{"v":${version}}`)

const cluster = await startRedisCluster({ replicas: 1 })
afterAll(cluster.close)
const db = openPostgres(await freshDatabase(), quiet)
afterAll(db.close)
const cache = openRedisCache(cluster.url, { db, logger: quiet })
afterAll(() => cache.close())

const inUse = (cache: Cache) =>
  until(
    'the cache to be in use',
    () =>
      cache.check().then(
        () => true,
        () => false,
      ),
    60_000,
  )
const slotOfId = (id: string) => slotOf(clusterKeys.redisKey(id, ''))
const idIn = (slots: number[]) => {
  for (;;) {
    const id = randomUUID()
    if (slots.includes(slotOfId(id))) return id
  }
}
const primaries = () =>
  until(
    'three primaries',
    async () => {
      const [one, two, three] = await cluster.primaries()
      return one && two && three && ([one, two, three] as const)
    },
    60_000,
  )
/** @returns the version that is read, after loading this one if there is none */
const load = async (cache: Cache, key: string, version: number) => {
  const lookup = await until(
    'the key to be readable',
    async () => {
      const lookup = await cache.read(key)
      return lookup.kind === 'bypass' ? undefined : lookup
    },
    30_000,
  )
  const found = lookup.kind === 'hit' ? lookup.entry : await cache.fill(key, lookup.lease, entry(version))
  return found && Number(found.toString().split('\n')[0])
}
const record = (cache: Cache, ids: string[], names: string[] = []) =>
  db.transaction((queries) => cache.recordInvalidation(queries, ids, names))
const rowsOf = <Row extends Record<string, unknown>>(text: string) =>
  db.query((queries) => queries.unprepared<Row>(text, []))
const records = async () => (await rowsOf('SELECT id FROM cache_invalidations')).length

it('stores, walks, removes and invalidates entries on all primaries', async () => {
  await inUse(cache)
  const ids = Array.from({ length: 60 }, () => randomUUID())
  const names = ids.map((id) => `ada}${id}`)
  for (const key of [...ids, ...names.map(usernameKey)]) expect(await load(cache, key, 1)).toBe(1)
  for (const key of ids) expect(await cache.read(key)).toEqual({ kind: 'hit', entry: entry(1) })

  const seen = new Set<string>()
  let from: string | undefined
  do {
    const { keys, next } = await cache.scan(from)
    for (const key of keys) seen.add(key)
    from = next
  } while (from !== undefined)
  for (const key of [...ids, ...names.map(usernameKey)]) expect(seen).toContain(key)
  expect(await cache.size()).toBeGreaterThanOrEqual(120)
  const versions = await cache.versions([...ids, usernameKey(names[0] ?? '')])
  expect(versions.users).toHaveLength(60)
  expect(versions.names).toEqual([{ usernameFolded: names[0], entry: entry(1) }])
  const [first = '', second = ''] = ids
  const removed = await cache.remove([
    { key: first, prefix: '1\n' },
    { key: second, prefix: '2\n' },
  ])
  expect(removed).toEqual([first])

  const recorded = await record(cache, ids, names)
  expect(new Set(recorded.map(({ slot }) => slot)).size).toBe(recorded.length)
  await cache.invalidate(ids, recorded, names)
  for (const key of [...ids, ...names.map(usernameKey)]) expect((await cache.read(key)).kind).toBe('miss')
  await until('the records to be gone', async () => (await records()) === 0)
})

it('executes the records of a writer that did not invalidate, each on the primary of its slot', async () => {
  await inUse(cache)
  const ids = Array.from({ length: 30 }, () => randomUUID())
  // Some of their records concern usernames alone, on each primary.
  const names = ids.map((id) => `ada.${id}`)
  const keys = [...ids, ...names.map(usernameKey)]
  for (const key of keys) await load(cache, key, 1)
  await record(cache, ids, names)
  await until('the records to be gone', async () => (await records()) === 0)
  for (const key of keys) expect((await cache.read(key)).kind).toBe('miss')
})

it('moves a slot with its entries unread, and keeps the entries of the others', async () => {
  await inUse(cache)
  const [from, to] = await primaries()
  const slots = await cluster.slotsOf(from)
  const [moved = 0, ...others] = slots
  const [id, other] = [idIn([moved]), idIn(others)]
  for (const key of [id, other]) expect(await load(cache, key, 1)).toBe(1)
  await cluster.move([moved], from, to)
  expect(await load(cache, id, 2)).toBe(2)
  expect(await load(cache, other, 2)).toBe(1)
  await cache.invalidate(id, [])
  // The entry of the first era comes back with its slot, and must stay unread.
  await cluster.move([moved], to, from)
  expect(await load(cache, id, 3)).toBe(3)
})

it('reads on from the other primaries while one is dead, and from its replica after that', async () => {
  await inUse(cache)
  const [dead, ...living] = await primaries()
  const [slots, ...others] = await Promise.all([dead, ...living].map((node) => cluster.slotsOf(node)))
  const hit = idIn(others.flat())
  const lost = idIn(slots ?? [])
  for (const key of [hit, lost]) expect(await load(cache, key, 1)).toBe(1)
  await dead.kill()
  // The record is executed on the replica. The entry is never read again.
  await record(cache, [lost])
  await until(
    'the replica to be used',
    async () => {
      expect(await cache.read(hit)).toEqual({ kind: 'hit', entry: entry(1) })
      return (await load(cache, lost, 2)) === 2
    },
    60_000,
  )
  await until('the record to be gone', async () => (await records()) === 0)
  await cluster.restart(dead)
  await inUse(cache)
}, 120_000)

it('a function finds the primaries, and follows them after a failover', async () => {
  const cache = openRedisCache(cluster.url, { db, logger: quiet, isFunction: true })
  onTestFinished(() => cache.close())
  const [primary] = await primaries()
  const id = idIn(await cluster.slotsOf(primary))
  expect(await load(cache, id, 1)).toBe(1)
  const [recorded] = await record(cache, [id])
  await cache.invalidate(id, recorded && [recorded])
  expect(await records()).toBe(0)
  const replica = await until('its replica', () => replicaOf(primary), 60_000)
  await replica.admin.cluster('FAILOVER')
  await until('it to take over', async () => (await cluster.slotsOf(replica)).length > 0, 30_000)
  expect(await load(cache, id, 2)).toBe(2)
}, 120_000)

describe('with a single server at the same time', () => {
  it('neither cache reads what the other’s writers could not invalidate', async () => {
    const single = openRedisCache(inject('redisUrl'), { db, logger: quiet })
    onTestFinished(() => single.close())
    await inUse(cache)
    const id = randomUUID()
    expect(await load(cache, id, 1)).toBe(1)
    // It registers the single server, and its record names no slot.
    await single.check().catch(() => {})
    await record(single, [id])
    await until('the first record to be done', async () => (await load(cache, id, 2)) === 2)
    await record(cache, [id])
    await single.close()
    await until('the second record to be done', async () => (await load(cache, id, 3)) === 3, 60_000)
  }, 120_000)
})

describe('REDIS_URL that names the wrong kind of server', () => {
  it.each([
    ['a cluster', cluster.url.replace('?cluster=true', ''), 'Add ?cluster=true'],
    ['a single server', `${inject('redisUrl')}?cluster=true`, 'Remove cluster=true'],
  ])('is rejected: %s', async (_name, url, advice) => {
    const cache = openRedisCache(url, { db, logger: quiet })
    onTestFinished(() => cache.close())
    await until('a check to say why', () =>
      cache.check().then(
        () => false,
        (error: Error) => error.message.includes(advice),
      ),
    )
  })
})

async function replicaOf(primary: ClusterNode): Promise<ClusterNode | undefined> {
  for (const node of cluster.nodes) {
    const own = String(await node.admin.cluster('NODES'))
      .split('\n')
      .find((line) => line.includes('myself'))
    if (own?.split(' ')[3] === primary.id) return node
  }
  return undefined
}
