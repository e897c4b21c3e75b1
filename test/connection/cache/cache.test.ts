// The cache interface in the process and in Redis, and the service during failures of a real Redis.
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterAll, describe, expect, inject, it, onTestFinished } from 'vitest'
import { type Cache, negativeEntry } from '../../../src/connection/cache/cache.ts'
import { openProcessCache } from '../../../src/connection/cache/process-cache.ts'
import { openRedisCache } from '../../../src/connection/cache/redis-cache.ts'
import { openPostgres } from '../../../src/connection/postgres/postgres.ts'
import type { User } from '../../../src/model/user.ts'
import { freshDatabase } from '../../support/database.ts'
import { png } from '../../support/picture.ts'
import { startProxy } from '../../support/proxy.ts'
import { startRedis } from '../../support/redis.ts'
import { realServices, type Service, startService } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const entry = (version: number) => Buffer.from(`${version}\n{"v":${version}}`)

const db = openPostgres(await freshDatabase(), quiet)
afterAll(db.close)

describe.each([
  ['in the process', () => openProcessCache()],
  ['in Redis', () => openRedisCache(inject('redisUrl'), { db, logger: quiet })],
])('the cache %s', (_place, open) => {
  const cache: Cache = open()
  afterAll(() => cache.close())

  const lease = async (id: string): Promise<string> => {
    const place = await until('the cache to answer', async () => {
      const place = await cache.read(id)
      return place.kind === 'bypass' ? undefined : place
    })
    if (place.kind !== 'miss') throw new Error(`expected a miss, not a ${place.kind}`)
    return place.lease
  }

  it('stores an entry under a lease, and returns it unchanged', async () => {
    const id = randomUUID()
    expect(await cache.fill(id, await lease(id), entry(3))).toEqual(entry(3))
    expect(await cache.read(id)).toEqual({ kind: 'hit', entry: entry(3) })
  })

  it('rejects an entry that was loaded before an invalidation', async () => {
    const id = randomUUID()
    const early = await lease(id)
    await cache.invalidate(id, undefined)
    expect(await cache.fill(id, early, entry(1))).toBeUndefined()
    expect(await cache.fill(id, await lease(id), entry(2))).toEqual(entry(2))
    expect(await cache.fill(id, early, entry(1))).toEqual(entry(2))
  })

  it('rejects an old lease even if another reader has a new one', async () => {
    const id = randomUUID()
    const early = await lease(id)
    await cache.invalidate(id, undefined)
    const late = await lease(id)
    expect(late).not.toBe(early)
    expect(await cache.fill(id, early, entry(1))).toBeUndefined()
    expect(await cache.fill(id, late, entry(2))).toEqual(entry(2))
  })

  it('gives readers of a missing key the same lease, and the later one the entry of the first', async () => {
    const id = randomUUID()
    const [one, other] = [await lease(id), await lease(id)]
    expect(one).toBe(other)
    await cache.fill(id, one, entry(1))
    expect(await cache.fill(id, other, entry(1))).toEqual(entry(1))
  })

  it('invalidates an entry and a negative entry', async () => {
    const id = randomUUID()
    for (const stored of [entry(1), negativeEntry()]) {
      await cache.fill(id, await lease(id), stored)
      await cache.invalidate(id, undefined)
      expect((await cache.read(id)).kind).toBe('miss')
      await cache.invalidate(id, undefined)
    }
  })
})

it('trusts nothing in Redis before the recorded invalidations have been executed', async () => {
  let isAsked = false
  let release = () => {}
  const held = new Promise<void>((done) => {
    release = done
  })
  const slow: typeof db = {
    ...db,
    of: () => slow,
    query: async (work) => {
      isAsked = true
      await held
      return db.query(work)
    },
  }
  const cache = openRedisCache(inject('redisUrl'), { db: slow, logger: quiet })
  onTestFinished(() => cache.close())
  await until('the records to be asked for', () => isAsked)
  expect(await cache.read(randomUUID())).toEqual({ kind: 'bypass' })
  release()
  await until('it to be used', async () => (await cache.read(randomUUID())).kind === 'miss')
})

it('logs a rejected login to Redis once, says what to do, and uses Redis as soon as it can log in', async () => {
  const redis = await startRedis()
  onTestFinished(redis.kill)
  const admin = new Redis(redis.url)
  onTestFinished(() => admin.disconnect())
  await admin.acl('SETUSER', 'directory', 'on', '>another-secret', '~*', '+@all')
  const lines: { level: string; text: string }[] = []
  const write =
    (level: string) =>
    (message: string, { error }: { error?: Error } = {}) =>
      void lines.push({ level, text: [message, error?.message, (error?.cause as Error)?.message].join(' ') })
  const logger = {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
  }
  const cache = openRedisCache(`redis://directory:a-secret@127.0.0.1:${redis.port}`, { db, logger })
  onTestFinished(() => cache.close())
  await until('some tries', () => lines.filter(({ level }) => level === 'debug').length > 3)
  const told = lines.filter(({ level }) => level === 'warn').map(({ text }) => text)
  expect(told).toEqual([expect.stringMatching(/check REDIS_URL's user and password.* WRONGPASS/)])
  expect(JSON.stringify(lines)).not.toContain('a-secret')
  await admin.acl('SETUSER', 'directory', '>a-secret')
  await until('the cache to be used', async () => (await cache.read(randomUUID())).kind === 'miss')
})

describe('a service on Redis and S3', async () => {
  const first = await startService({ env: realServices() })
  const second = await startService({ env: realServices(), beside: first })

  it('serves entries that another instance has stored', async () => {
    const user = await first.makeUser()
    expect((await first.call('GET', `/user/${user.id}`)).headers.get('x-cache')).toBe('miss')
    const answer = await second.call('GET', `/user/${user.id}`)
    expect([answer.headers.get('x-cache'), answer.body.username]).toEqual(['hit', user.username])
  })

  it('shows every kind of change on every instance immediately', async () => {
    const user = await first.makeUser({ contacts: [{ contact_type: 'PHONE', value: '1' }] })
    const image = await png()
    const changes: [string, string, object][] = [
      ['PATCH', `/user/${user.id}`, { json: { name: 'changed' } }],
      ['PATCH', `/user/${user.id}`, { json: { contacts: [{ contact_type: 'WORK', value: '2' }] } }],
      ['POST', `/upload/${user.id}`, { body: image, headers: { 'content-type': 'image/png' } }],
      ['PUT', `/user/${user.id}`, { json: { username: user.username } }],
    ]
    for (const [at, [method, path, options]] of changes.entries()) {
      await second.call('GET', `/user/${user.id}`)
      expect((await first.call(method, path, options)).status).toBe(200)
      for (const { call } of [first, second])
        expect((await call('GET', `/user/${user.id}`)).body.version).toBe(at + 2)
    }
    await first.call('DELETE', `/user/${user.id}`)
    expect((await second.call('GET', `/user/${user.id}`)).status).toBe(404)
  })

  it('loads a missing key once for any number of readers', async () => {
    const user = await first.makeUser()
    const answers = await Promise.all(
      Array.from({ length: 200 }, () => first.call('GET', `/user/${user.id}`)),
    )
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
  })
})

describe('a service whose Redis fails', () => {
  const hits = async ({ call }: Service, user: User, version: number) =>
    until('the cache to be used again', async () => {
      const answer = await call('GET', `/user/${user.id}`)
      expect(answer.body.version).toBe(version)
      return answer.headers.get('x-cache') === 'hit'
    })

  it('reads and writes without Redis, and trusts it again only once it can contain nothing old', async () => {
    const redis = await startRedis()
    const service = await startService({ env: { REDIS_URL: redis.url } })
    const { call } = service
    const user: User = await service.makeUser()
    await hits(service, user, 1)

    // Stopped, not killed: it keeps the entry of version 1 and will answer it again.
    redis.process.kill('SIGSTOP')
    const written = await call('PATCH', `/user/${user.id}`, { json: { name: 'while it was away' } })
    expect([written.status, written.body.version]).toEqual([200, 2])
    const read = await call('GET', `/user/${user.id}`)
    expect([read.status, read.body.version, read.headers.get('x-cache')]).toEqual([200, 2, 'bypass'])
    redis.process.kill('SIGCONT')
    await hits(service, user, 2)

    await redis.kill()
    expect((await call('GET', `/user/${user.id}`)).body.version).toBe(2)
    expect((await call('PATCH', `/user/${user.id}`, { json: {} })).body.version).toBe(3)
    const again = await startRedis({ port: redis.port })
    onTestFinished(again.kill)
    await hits(service, user, 3)
  })

  it('never reads entries that Redis restored from an old dump', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'redis-dump-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    const first = await startRedis({ options: ['--dir', folder] })
    const service = await startService({ env: { REDIS_URL: first.url } })
    const user = await service.makeUser()
    await hits(service, user, 1)
    const client = new Redis(first.url)
    await client.save()
    client.disconnect()
    // Removed from the cache in the ordinary way, and no record of it is left.
    await service.call('PATCH', `/user/${user.id}`, { json: { name: 'newer than the dump' } })
    await until('the record to be taken back', async () => (await recorded(service)) === 0)
    await first.kill()

    const second = await startRedis({ port: first.port, options: ['--dir', folder] })
    onTestFinished(second.kill)
    const restored = new Redis(second.url)
    expect(await restored.dbsize()).toBeGreaterThan(0)
    restored.disconnect()
    await hits(service, user, 2)
  })

  it('lets a process wait for another one’s load, and load by itself if none arrives', async () => {
    const redis = await startRedis()
    onTestFinished(redis.kill)
    const [one, other] = [
      openRedisCache(redis.url, { db, logger: quiet }),
      openRedisCache(redis.url, { db, logger: quiet }),
    ]
    onTestFinished(async () => void (await Promise.all([one.close(), other.close()])))
    await Promise.all([one.check(), other.check()])
    const id = randomUUID()
    const lease = await one.read(id)
    expect(lease.kind).toBe('miss')
    // Its load never ends: the other one may store what it loads, under the same lease.
    expect(await other.read(id)).toEqual(lease)
    const waiting = Promise.all([other.read(id), other.read(id)])
    await one.fill(id, lease.kind === 'miss' ? lease.lease : '', entry(1))
    for (const place of await waiting) expect(place).toEqual({ kind: 'hit', entry: entry(1) })
  })

  it('delays a writer that reconnects before the others have lost the old version', async () => {
    const redis = await startRedis()
    onTestFinished(redis.kill)
    const [reader, writer] = [
      openRedisCache(redis.url, { db, logger: quiet }),
      openRedisCache(redis.url, { db, logger: quiet }),
    ]
    onTestFinished(async () => void (await Promise.all([reader.close(), writer.close()])))
    await Promise.all([reader.check(), writer.check()])
    const id = randomUUID()
    const place = await reader.read(id)
    await reader.fill(id, place.kind === 'miss' ? place.lease : '', entry(1))

    // Only the writer learns that Redis did not answer; the reader goes on trusting it.
    redis.process.kill('SIGSTOP')
    expect(await writer.read(id)).toEqual({ kind: 'bypass' })
    redis.process.kill('SIGCONT')
    expect(await reader.read(id)).toEqual({ kind: 'hit', entry: entry(1) })
    await writer.invalidate(id, undefined)
    expect((await reader.read(id)).kind).toBe('miss')
  })

  it('executes the recorded invalidations of a writer that lost Redis', async () => {
    const redis = await startRedis()
    onTestFinished(redis.kill)
    const proxy = await startProxy({ host: '127.0.0.1', port: redis.port })
    onTestFinished(proxy.close)
    const reader = await startService({ env: { REDIS_URL: redis.url } })
    const writer = await startService({
      env: { REDIS_URL: `redis://127.0.0.1:${proxy.port}` },
      beside: reader,
    })
    const user = await reader.makeUser()
    await hits(reader, user, 1)

    await proxy.refuse()
    const written = await writer.call('PATCH', `/user/${user.id}`, { json: { name: 'changed' } })
    expect([written.status, written.body.version]).toEqual([200, 2])
    expect(await recorded(reader)).toBeGreaterThan(0)
    await until(
      'the reader to show it',
      async () => (await reader.call('GET', `/user/${user.id}`)).body.version === 2,
    )
    await hits(reader, user, 2)
    await until('the record to be gone', async () => (await recorded(reader)) === 0)
  })
})

async function recorded({ connections }: Service): Promise<number> {
  const rows = await connections.db.query((queries) =>
    queries.execute<{ count: number }>('SELECT count(*)::int FROM cache_invalidations'),
  )
  return rows.rows[0]?.count ?? -1
}
