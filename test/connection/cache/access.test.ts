// The permissions of the functions' user in Valkey suffice for the service, and are no wider than it needs.
import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { expect, it, onTestFinished } from 'vitest'
import { cacheAccess, clusterCacheAccess } from '../../../infra/cache-access.ts'
import { clusterKeys } from '../../../src/connection/cache/redis-keys.ts'
import { slotOf } from '../../../src/connection/redis/slots.ts'
import { type RedisServer, startRedis } from '../../support/redis.ts'
import { startRedisCluster } from '../../support/redis-cluster.ts'
import { startService } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

/** Makes the user, and returns a function that returns what the server has denied to it. */
async function permit({ url }: RedisServer, rule: string): Promise<() => Promise<unknown>> {
  const owner = new Redis(url)
  onTestFinished(() => owner.disconnect())
  await owner.acl('SETUSER', 'service', '>secret', ...rule.split(' '))
  return () => owner.acl('LOG')
}

const urlFor = ({ port }: RedisServer) => `redis://service:secret@127.0.0.1:${port}`

/** Makes the service send every command that it knows, but those of a slot that is being moved. */
async function useAll(url: string) {
  const service = await startService({ env: { REDIS_URL: url } })
  const { call, makeUser, connections } = service
  const { id } = await makeUser()
  await until('a hit', async () => (await call('GET', `/user/${id}`)).headers.get('x-cache') === 'hit')
  await call('PATCH', `/user/${id}`, { json: { name: 'Ada' } })
  expect((await call('GET', `/user/${id}`)).headers.get('x-cache')).toBe('miss')
  expect(await connections.cache.size()).toBeGreaterThan(0)
  const keys: string[] = []
  // In a cluster, each page is of one primary.
  for (let from: string | undefined = ''; from !== undefined; ) {
    const page = await connections.cache.scan(from || undefined)
    keys.push(...page.keys)
    from = page.next
  }
  expect(keys.length).toBeGreaterThan(0)
  expect((await connections.cache.versions([id])).users).toEqual([{ id, version: 2 }])
  expect(await connections.cache.remove([{ key: id, prefix: '2\n' }])).toEqual([id])
  const { attempts } = connections
  const bucket = { name: 'a-bucket', burst: 1, pauseMsMin: 10, pauseMsMax: 10 }
  await attempts.reserve(bucket, 1_000)
  await attempts.succeeded(bucket)
  await attempts.remember('a-mark')
  expect(await attempts.isRemembered('a-mark')).toBe(true)
  return { ...service, id }
}

async function expectDenied(url: string, commands: string[][]): Promise<void> {
  const service = new Redis(url)
  onTestFinished(() => service.disconnect())
  for (const [name = '', ...parameters] of commands)
    await expect(service.call(name, ...parameters), `${name} ${parameters}`).rejects.toThrow(/NOPERM/)
}

const neverUsed = [['FLUSHALL'], ['CONFIG', 'GET', '*'], ['KEYS', '*'], ['GET', 'another:key']]

it('permits the cache, the attempt throttle and the revalidation, on their own keys only', async () => {
  const server = await startRedis()
  onTestFinished(server.kill)
  const denied = await permit(server, cacheAccess)
  await useAll(urlFor(server))
  // The service survives a denied command; ACL LOG reveals it.
  expect(await denied()).toEqual([])
  await expectDenied(urlFor(server), [...neverUsed, ['CLUSTER', 'NODES'], ['CLUSTER', 'SLOTS']])
})

it('permits in cluster mode what finds the primaries and follows a moving slot, and no change of the cluster', async () => {
  const cluster = await startRedisCluster({ primaries: 2 })
  onTestFinished(cluster.close)
  const denied = await Promise.all(cluster.nodes.map((node) => permit(node, clusterCacheAccess)))
  const [first, second] = cluster.nodes
  if (!first || !second) throw new Error('the cluster has two nodes')
  const { call, id } = await useAll(`${urlFor(first)}?cluster=true`)

  const slot = slotOf(clusterKeys.redisKey(id, ''))
  const isOfFirst = (await cluster.slotsOf(first)).includes(slot)
  const [from, to] = isOfFirst ? [first, second] : [second, first]
  // A renewal between the two would release the slot, so that the write sends nothing.
  await until(
    'a write that follows a moving slot',
    async () => {
      await until('a hit', async () => (await call('GET', `/user/${id}`)).headers.get('x-cache') === 'hit')
      const cancel = await cluster.startMove([slot], from, to)
      await call('PATCH', `/user/${id}`, { json: { name: randomUUID() } })
      await cancel()
      return (await askingsOf(to.admin)) > 0
    },
    30_000,
  )

  for (const logOf of denied) expect(await logOf()).toEqual([])
  await expectDenied(urlFor(first), [
    ...neverUsed,
    ['CLUSTER', 'FAILOVER'],
    ['CLUSTER', 'FORGET', second.id],
    ['CLUSTER', 'GETKEYSINSLOT', '0', '10'],
    ['CLUSTER', 'SETSLOT', '0', 'STABLE'],
    ['MIGRATE', '127.0.0.1', String(second.port), 'key', '0', '100'],
  ])
})

async function askingsOf(admin: Redis): Promise<number> {
  return Number(/cmdstat_asking:calls=(\d+)/.exec(await admin.info('commandstats'))?.[1] ?? 0)
}
