// The migration's function after a restore: no process reads an entry that the cache has from before.
import { expect, it, onTestFinished, vi } from 'vitest'
import { handler } from '../../src/refresh-job/migrate.ts'
import { startRedis } from '../support/redis.ts'
import { startRedisCluster } from '../support/redis-cluster.ts'
import { type Service, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'

const servers = {
  'a single server': async () => {
    const { url, kill } = await startRedis()
    onTestFinished(kill)
    return url
  },
  'a cluster': async () => {
    const { url, close } = await startRedisCluster({ primaries: 2 })
    onTestFinished(close)
    return url
  },
}

/** Makes a user, waits until it is cached, and puts back a row of an earlier time, as a restore does. */
async function restoreBehindCache({ call, makeUser, connections }: Service): Promise<string> {
  const { id } = await makeUser({ name: 'Earlier' })
  await call('PATCH', `/user/${id}`, { json: { name: 'Later' } })
  await until('a hit', async () => (await call('GET', `/user/${id}`)).headers.get('x-cache') === 'hit')
  await connections.db.query((queries) =>
    queries.unprepared(`UPDATE users SET name = 'Earlier', version = 1 WHERE id = $1`, [id]),
  )
  return id
}

it.each(Object.entries(servers))('makes the cache of %s start empty', async (_name, start) => {
  const service = await startService({ env: { REDIS_URL: await start() } })
  const { call } = service
  vi.stubEnv('DATABASE_URL', service.databaseUrl)
  onTestFinished(() => void vi.unstubAllEnvs())
  const id = await restoreBehindCache(service)
  await handler({})
  expect((await call('GET', `/user/${id}`)).body).toMatchObject({ name: 'Later' })

  await handler({ isRestored: true })
  await until('the restored row', async () => (await call('GET', `/user/${id}`)).body.name === 'Earlier')
  await until('a hit', async () => (await call('GET', `/user/${id}`)).headers.get('x-cache') === 'hit')
  expect((await call('GET', `/user/${id}`)).body).toMatchObject({ name: 'Earlier', version: 1 })
})
