// The daily revalidation repairs drifted entries, whichever fault stops it, and finds none without injected drift.

import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { utimes } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setImmediate as immediate } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { User } from '../../../src/model/user.ts'
import { createPace } from '../../../src/services/pace.ts'
import { type Revalidation, revalidate } from '../../../src/services/revalidation/run.ts'
import { startRedis } from '../../support/redis.ts'
import { type Service, startService } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

/** Starts a service on its own Redis, and a client of that Redis. */
async function start(): Promise<{ service: Service; redis: Redis; keyOf: (id: string) => Promise<string> }> {
  const server = await startRedis()
  onTestFinished(server.kill)
  const service = await startService({ env: { REDIS_URL: server.url } })
  // A machine's token, because the username of a person would be cached too.
  service.tokens.admin = await service.issuer.machineToken('users/write')
  const redis = new Redis(server.url)
  onTestFinished(() => redis.disconnect())
  const keyOf = async (id: string) => (await redis.keys(`*:user:${id}`))[0] ?? ''
  return { service, redis, keyOf }
}

async function cached(service: Service, count: number): Promise<User[]> {
  const users = await Promise.all(Array.from({ length: count }, () => service.makeUser()))
  for (const { id } of users) await service.call('GET', `/user/${id}`)
  return users
}

const counts = ({ durationMs: _, ...rest }: Revalidation) => rest
const nothing = { scanned: 0, fresh: 0, repaired: 0, dropped: 0, orphans: 0, isFinished: true }

describe('entries', () => {
  it('that match the database are kept', async () => {
    const { service } = await start()
    const users = await cached(service, 30)
    await service.call('GET', `/user/${randomUUID()}`)
    expect(counts(await revalidate(service.connections))).toEqual({ ...nothing, scanned: 31, fresh: 31 })
    for (const { id } of users)
      expect((await service.call('GET', `/user/${id}`)).headers.get('x-cache')).toBe('hit')
  })

  it('of users of the maximum size are compared', async () => {
    const { service } = await start()
    const contacts = Array.from({ length: 50 }, () => ({
      contact_type: 'WORK',
      // Six bytes each in JSON.
      value: '\u0001'.repeat(256),
    }))
    const largest = (at: number) => ({
      contacts,
      name: '\u0001'.repeat(200),
      external_id: `${at}${'😀'.repeat(253)}`,
      attributes: Object.fromEntries(Array.from({ length: 15 }, (_, key) => [`key_${key}`, 'x'.repeat(512)])),
    })
    const users = await Promise.all(Array.from({ length: 90 }, (_, at) => service.makeUser(largest(at))))
    for (const { id } of users) await service.call('GET', `/user/${id}`)
    expect(counts(await revalidate(service.connections))).toEqual({ ...nothing, scanned: 90, fresh: 90 })
  })

  it('that have drifted are removed: old ones, those of erased users, and outdated negative ones', async () => {
    const { service, redis, keyOf } = await start()
    const [old, erased, fine, missed] = (await cached(service, 4)) as [User, User, User, User]
    const forged = { ...old, name: 'from long ago', version: 0 }
    await service.connections.db.query((queries) =>
      queries.execute(`UPDATE users SET version = 7 WHERE id = '${old.id}'`),
    )
    await redis.set(await keyOf(old.id), `1\n${JSON.stringify(forged)}`)
    await redis.set(await keyOf(missed.id), '0\n')
    await service.connections.db.query((queries) =>
      queries.execute(`DELETE FROM users WHERE id = '${erased.id}'`),
    )

    const result = await revalidate(service.connections)
    expect(counts(result)).toEqual({ ...nothing, scanned: 4, fresh: 1, repaired: 2, dropped: 1 })
    const read = async ({ id }: User) => {
      const { status, headers, body } = await service.call('GET', `/user/${id}`)
      return [status, headers.get('x-cache'), body.version]
    }
    expect(await read(old)).toEqual([200, 'miss', 7])
    expect(await read(missed)).toEqual([200, 'miss', 1])
    expect(await read(fine)).toEqual([200, 'hit', 1])
    expect((await read(erased))[0]).toBe(404)
    // In one line or more, because the record of a recent write may still exist.
    const driftLines = service.log.filter(({ message }) => message.includes('had drifted'))
    expect(new Set(driftLines.map(({ level }) => level))).toEqual(new Set(['error']))
    expect(driftLines.reduce((sum, { fields }) => sum + Number(fields.count), 0)).toBe(3)
    expect(counts(await revalidate(service.connections))).toMatchObject({ fresh: 4, repaired: 0, dropped: 0 })
  }, 60_000)

  it('of usernames are removed if they miss a block, an end of sessions, or another owner', async () => {
    const { service, redis } = await start()
    const names = ['blocked', 'early', 'fine', 'gone', 'late'].map((name) => `${name}.${randomUUID()}`)
    const [blocked, early, , gone] = await Promise.all(
      names.map((username) => service.makeUser({ username })),
    )
    const token = async (username: string) =>
      service.issuer.token({ username, auth_time: Math.floor(Date.now() / 1_000) + 5 })
    const tokens = await Promise.all(names.map(token))
    const call = async (at: number) =>
      (await service.call('GET', `/user/${randomUUID()}`, { token: tokens[at] ?? '' })).status
    for (const at of names.keys()) expect(await call(at)).toBe(403)
    const unknown = await token(`nobody.${randomUUID()}`)
    expect((await service.call('GET', `/user/${randomUUID()}`, { token: unknown })).status).toBe(403)
    await service.connections.db.query(async (queries) => {
      await queries.execute(`UPDATE users SET status = 'BLOCKED' WHERE id = '${blocked?.id}'`)
      await queries.execute(
        `UPDATE users SET sessions_valid_from = now() + interval '1 hour' WHERE id = '${early?.id}'`,
      )
      await queries.execute(`DELETE FROM users WHERE id = '${gone?.id}'`)
    })
    // It rejects more sessions than the database, so it admits no caller.
    const [key = ''] = await redis.keys(`*:name:${names[4]}`)
    const entry = (await redis.get(key)) ?? ''
    await redis.set(key, entry.replace(/}$/, ',"validFromMs":1000}'))

    expect(counts(await revalidate(service.connections))).toEqual({
      ...nothing,
      scanned: 6,
      fresh: 3,
      repaired: 2,
      dropped: 1,
    })
    const driftLines = service.log.filter(({ message }) => message.includes('had drifted'))
    expect(driftLines.reduce((sum, { fields }) => sum + Number(fields.count), 0)).toBe(3)
    for (const name of names) expect(JSON.stringify(driftLines)).not.toContain(name)
    // The process keeps its own copy for half a second.
    await until('the blocked one to be refused', async () => (await call(0)) === 401)
    await until('the early one to be refused', async () => (await call(1)) === 401)
    expect(await call(2)).toBe(403)
  })

  it('of usernames with a recorded invalidation have not drifted', async () => {
    const { service, redis } = await start()
    const { username, id } = await service.makeUser()
    const token = await service.issuer.token({ username })
    await service.call('GET', `/user/${id}`, { token })
    const [key = ''] = await redis.keys('*:name:*')
    expect(await redis.exists(key)).toBe(1)
    await service.connections.db.transaction(async (queries) => {
      await queries.execute(`UPDATE users SET status = 'BLOCKED' WHERE id = '${id}'`)
      await queries.execute(
        `INSERT INTO cache_invalidations (user_id, names) VALUES ('${id}', ARRAY['${username}'])`,
      )
    })
    expect(await revalidate(service.connections)).toMatchObject({ repaired: 0, dropped: 0, isFinished: true })
    expect(await redis.exists(key)).toBe(0)
  })

  it('with a recorded invalidation have not drifted, and are removed by it', async () => {
    const { service, redis, keyOf } = await start()
    const [user] = (await cached(service, 1)) as [User]
    const key = await keyOf(user.id)
    const old = await redis.get(key)
    // Committed by a server that crashed before the invalidation.
    await service.connections.db.transaction(async (queries) => {
      await queries.execute(`UPDATE users SET version = 2 WHERE id = '${user.id}'`)
      await queries.execute(`INSERT INTO cache_invalidations (user_id) VALUES ('${user.id}')`)
    })
    expect(await redis.get(key)).toBe(old)
    expect(counts(await revalidate(service.connections))).toEqual({ ...nothing, scanned: 1, fresh: 1 })
    expect(await redis.get(key)).toBeNull()
  })

  it('of users under constant writes have not drifted', async () => {
    const { service } = await start()
    const users = await cached(service, 20)
    let isOver = false
    const writers = users.map(async ({ id }) => {
      while (!isOver) {
        await service.call('PATCH', `/user/${id}`, { json: { name: randomUUID() } })
        await service.call('GET', `/user/${id}`)
      }
    })
    for (let run = 0; run < 2; run++)
      expect(await revalidate(service.connections)).toMatchObject({
        repaired: 0,
        dropped: 0,
        isFinished: true,
      })
    isOver = true
    await Promise.all(writers)
  }, 60_000)
})

describe('a run that is stopped', () => {
  it('is continued by the next, which compares the remaining entries', async () => {
    const { service, redis } = await start()
    await cached(service, 10)
    const [someKey = ''] = await redis.keys('*:user:*')
    const prefix = someKey.slice(0, -36)
    const pipeline = redis.pipeline()
    // Negative entries.
    for (let at = 0; at < 5_000; at++) pipeline.set(`${prefix}${randomUUID()}`, '0\n')
    await pipeline.exec()

    const stopping = new AbortController()
    const first = await revalidate(service.connections, {
      signal: stopping.signal,
      onProgress: () => stopping.abort(),
    })
    expect(first.isFinished).toBe(false)
    expect(first.scanned).toBeLessThan(3_000)
    const second = await revalidate(service.connections)
    expect(second.isFinished).toBe(true)
    // Both runs together compare each entry at least once, and not all of them twice.
    expect(second.scanned).toBeGreaterThanOrEqual(5_010)
    expect(second.scanned).toBeLessThan(7_000)
    // A finished revalidation starts over.
    expect((await revalidate(service.connections)).scanned).toBeGreaterThanOrEqual(5_010)
  })

  it('by SIGKILL, repeatedly, leaves no entry uncompared', async () => {
    const { service, redis, keyOf } = await start()
    const [user] = (await cached(service, 1)) as [User]
    // Every process that finds the record removes the entry again.
    await until('the record of its creation to be taken back', async () => {
      const found = await service.connections.db.query((queries) =>
        queries.execute('SELECT 1 FROM cache_invalidations'),
      )
      return found.rows.length === 0
    })
    const prefix = (await keyOf(user.id)).slice(0, -user.id.length)
    const plant = async () => {
      const pipeline = redis.pipeline()
      for (let at = 0; at < 8_000; at++) pipeline.set(`${prefix}${randomUUID()}`, '3\n{}')
      await pipeline.exec()
    }
    await plant()
    const { host, port } = redis.options
    const env = {
      PATH: process.env.PATH ?? '',
      DATABASE_URL: service.databaseUrl,
      REDIS_URL: `redis://${host}:${port}`,
    }
    const run = () => {
      const child = spawn(process.execPath, [resolve('src/cli/refresh.ts')], { env, stdio: 'ignore' })
      onTestFinished(() => void child.kill('SIGKILL'))
      return { child, exit: once(child, 'exit') }
    }
    for (let killed = 0; killed < 2; killed++) {
      const before = await redis.dbsize()
      const { child, exit } = run()
      await until('it to get to work', async () => child.exitCode !== null || (await redis.dbsize()) < before)
      child.kill('SIGKILL')
      await exit
    }
    expect((await run().exit)[0]).toBe(0)
    expect(await redis.keys('*')).toEqual([`${prefix}${user.id}`])
  }, 60_000)

  it('at its time limit reports it, and two concurrent runs do no harm', async () => {
    const { service } = await start()
    await cached(service, 10)
    expect((await revalidate(service.connections, { stopAt: performance.now() })).isFinished).toBe(false)
    const both = await Promise.all([revalidate(service.connections), revalidate(service.connections)])
    for (const run of both) expect(run).toMatchObject({ scanned: 10, fresh: 10, isFinished: true })
  })

  it('by an unreachable Redis fails, and the next one finishes', async () => {
    const server = await startRedis()
    const service = await startService({ env: { REDIS_URL: server.url } })
    await cached(service, 3)
    await server.kill()
    await expect(revalidate(service.connections)).rejects.toThrow(/cache/i)
    const again = await startRedis({ port: server.port })
    onTestFinished(again.kill)
    await service.connections.cache.check().catch(() => service.connections.cache.check())
    expect(await revalidate(service.connections)).toMatchObject({ isFinished: true })
  })
})

describe('avatars', () => {
  it('that no user has are removed once they are old, and no others', async () => {
    const service = await startService()
    const { avatars, db } = service.connections
    const hashes = ['a', 'b', 'c'].map((digit) => digit.repeat(64))
    const [used, old, young] = hashes as [string, string, string]
    const user = await service.makeUser()
    const keyOf = (id: string, hash: string) => `avatars/${id}/${hash}.webp`
    const gone = randomUUID()
    for (const key of [keyOf(user.id, used), keyOf(user.id, old), keyOf(user.id, young), keyOf(gone, old)])
      await avatars.put(key, Buffer.from('x'))
    await db.query((queries) =>
      queries.execute(`UPDATE users SET avatar = '${keyOf(user.id, used)}' WHERE id = '${user.id}'`),
    )
    const yesterday = new Date(Date.now() - 86_400_000)
    for (const key of [keyOf(user.id, used), keyOf(user.id, old), keyOf(gone, old)])
      await utimes(join(service.avatarDirectory, key), yesterday, yesterday)

    expect(counts(await revalidate(service.connections))).toEqual({ ...nothing, orphans: 2 })
    expect(await avatars.read(keyOf(user.id, used))).toBeDefined()
    expect(await avatars.read(keyOf(user.id, young))).toBeDefined()
    expect(await avatars.read(keyOf(user.id, old))).toBeUndefined()
    expect(await avatars.read(keyOf(gone, old))).toBeUndefined()
  })

  it('of another database are kept, unless the option to remove most is given', async () => {
    const service = await startService()
    const yesterday = new Date(Date.now() - 86_400_000)
    const keys = Array.from({ length: 30 }, () => `avatars/${randomUUID()}/${'0'.repeat(64)}.webp`)
    for (const key of keys) {
      await service.connections.avatars.put(key, Buffer.from('x'))
      await utimes(join(service.avatarDirectory, key), yesterday, yesterday)
    }
    await expect(revalidate(service.connections)).rejects.toThrow('30 of 30 avatars belong to no user')
    for (const key of keys) expect(await service.connections.avatars.read(key)).toBeDefined()
    expect((await revalidate(service.connections, { removeMost: true })).orphans).toBe(30)
  })
})

it('logs the result as CloudWatch metrics', async () => {
  const service = await startService()
  await revalidate(service.connections)
  const line = service.log.find(({ message }) => message === 'revalidation')?.fields as {
    _aws: { CloudWatchMetrics: { Metrics: { Name: string }[]; Dimensions: string[][] }[] }
  }
  const [metrics] = line._aws.CloudWatchMetrics
  for (const name of [
    ...(metrics?.Metrics ?? []).map(({ Name }) => Name),
    ...(metrics?.Dimensions.flat() ?? []),
  ])
    expect(line).toHaveProperty(name)
})

it('pauses after a step that took far longer than the fastest, for the same number of things', async () => {
  const pace = createPace()
  const waits = (count: number, tookMs: number) =>
    Promise.race([pace(count, tookMs).then(() => false), immediate(true)])
  expect([await waits(500, 40), await waits(500, 10), await waits(500, 39)]).toEqual([false, false, false])
  expect(await waits(500, 60)).toBe(true)
  // Proportionally longer for more things, or too few things to matter.
  expect([await waits(1_000, 60), await waits(3, 60)]).toEqual([false, false])
})
