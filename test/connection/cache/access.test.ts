// The permissions of the functions' user in Valkey suffice for the service, and are no wider than it needs.
import { Redis } from 'ioredis'
import { expect, it, onTestFinished } from 'vitest'
import { cacheAccess } from '../../../infra/cache-access.ts'
import { startRedis } from '../../support/redis.ts'
import { startService } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

it('permits the cache, the attempt throttle and the revalidation, on their own keys only', async () => {
  const server = await startRedis()
  onTestFinished(server.kill)
  const owner = new Redis(server.url)
  onTestFinished(() => owner.disconnect())
  await owner.acl('SETUSER', 'service', '>secret', ...cacheAccess.split(' '))
  const url = `redis://service:secret@127.0.0.1:${server.port}`
  const { call, makeUser, connections } = await startService({ env: { REDIS_URL: url } })
  const { id } = await makeUser()
  await until('a hit', async () => (await call('GET', `/user/${id}`)).headers.get('x-cache') === 'hit')
  await call('PATCH', `/user/${id}`, { json: { name: 'Ada' } })
  expect((await call('GET', `/user/${id}`)).headers.get('x-cache')).toBe('miss')
  expect(await connections.cache.size()).toBeGreaterThan(0)
  const { keys } = await connections.cache.scan(undefined)
  expect((await connections.cache.versions(keys)).users).toEqual([{ id, version: 2 }])
  expect(await connections.cache.remove([{ key: id, prefix: '2\n' }])).toEqual([id])
  const { attempts } = connections
  const bucket = { name: 'a-bucket', burst: 1, pauseMsMin: 10, pauseMsMax: 10 }
  await attempts.reserve(bucket, 1_000)
  await attempts.succeeded(bucket)
  await attempts.remember('a-mark')
  expect(await attempts.isRemembered('a-mark')).toBe(true)

  // Where it is denied something it does without: ACL LOG tells of it.
  expect(await owner.acl('LOG')).toEqual([])
  const service = new Redis(url)
  onTestFinished(() => service.disconnect())
  for (const [name = '', ...parameters] of [
    ['FLUSHALL'],
    ['CONFIG', 'GET', '*'],
    ['KEYS', '*'],
    ['GET', 'another:key'],
  ])
    await expect(service.call(name, ...parameters), name).rejects.toThrow(/NOPERM/)
})
