// The cache in Redis or Valkey, over TLS with rediss://. The protocol is told in cache.ts.
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { Redis } from 'ioredis'
import { type Cache, entryTtlMs, isUnknown, leaseTtlMs, unknownTtlMs } from './cache.ts'
import type { Logger } from './logger.ts'

// Raised whenever the stored form changes, so that two versions of the service can run side by side.
const prefix = 'user-directory:1:user:'
// What begins a lease; an entry begins with a digit.
const leaseMark = 'L'.charCodeAt(0)

// Answers far slower than this are slower than the database.
const commandMsMax = 250
// After this many failures in a row the cache is left alone for a while, so that a read does not pay for it.
const failuresMax = 3
const restMs = 500
const retryForgetMs = 200
const checkMsMax = 1_000

// Leaves what another reader has put there, entry or lease, and answers it.
const readScript = `
local place = redis.call('GET', KEYS[1])
if place then return place end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]`

const fillScript = `
local place = redis.call('GET', KEYS[1])
if place == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  return ARGV[2]
end
return place`

export function openRedisCache(url: string, logger: Logger): Cache {
  const redis = new Redis(url, {
    // Waiting in a queue for a Redis that is away would be slower than the database.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    commandTimeout: commandMsMax,
    connectTimeout: 1_000,
    enableAutoPipelining: true,
    keepAlive: 10_000,
    retryStrategy: (attempt) => Math.min(50 * attempt, 1_000),
    scripts: {
      lease: { lua: readScript, numberOfKeys: 1 },
      fill: { lua: fillScript, numberOfKeys: 1 },
    },
  })
  let failures = 0
  let restUntil = 0
  redis.on('error', (error) => logger.debug('the cache connection failed', { error }))

  // What a write could not remove. Until all of it is gone this process trusts nothing in the cache.
  const stale = new Set<string>()
  let retry: NodeJS.Timeout | undefined

  const attempt = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    if (performance.now() < restUntil) return undefined
    try {
      const result = await work()
      failures = 0
      return result
    } catch (error) {
      if (++failures >= failuresMax) {
        restUntil = performance.now() + restMs
        if (failures === failuresMax) logger.warn('the cache is bypassed', { error })
      }
      return undefined
    }
  }

  const forgetStale = async (): Promise<void> => {
    retry = undefined
    for (const id of [...stale].slice(0, 1_000)) {
      const done = await redis.del(prefix + id).catch(() => undefined)
      if (done === undefined) break
      stale.delete(id)
    }
    if (stale.size > 0) retry = setTimeout(() => void forgetStale(), retryForgetMs).unref()
  }

  return {
    read: async (id) => {
      if (stale.size > 0) return { kind: 'bypass' }
      const place = await attempt(async () => {
        const found = await redis.getBuffer(prefix + id)
        return (
          found ??
          ((await call(redis, 'leaseBuffer', [prefix + id, `L${randomUUID()}`, leaseTtlMs])) as Buffer)
        )
      })
      if (!place) return { kind: 'bypass' }
      if (place[0] === leaseMark) return { kind: 'miss', lease: place.toString('latin1') }
      return { kind: 'hit', entry: place }
    },
    fill: async (id, lease, entry) => {
      const ttlMs = Math.round(isUnknown(entry) ? unknownTtlMs : entryTtlMs())
      const place = await attempt(() => call(redis, 'fillBuffer', [prefix + id, lease, entry, ttlMs]))
      return place instanceof Buffer && place[0] !== leaseMark ? place : undefined
    },
    forget: async (id) => {
      // No rest is kept here: a write must try.
      const done = await redis.del(prefix + id).catch(() => undefined)
      if (done !== undefined) return
      stale.add(id)
      logger.warn('an entry could not be removed from the cache; it will be', { user_id: id })
      retry ??= setTimeout(() => void forgetStale(), retryForgetMs).unref()
    },
    check: async () => {
      if (redis.status !== 'ready') await once(redis, 'ready', { signal: AbortSignal.timeout(checkMsMax) })
      await redis.ping()
    },
    close: async () => {
      clearTimeout(retry)
      redis.disconnect()
    },
  }
}

// ioredis makes a method of each script at run time, which its types do not know.
function call(
  redis: Redis,
  command: 'leaseBuffer' | 'fillBuffer',
  values: (string | number | Buffer)[],
): Promise<unknown> {
  const scripts = redis as unknown as Record<
    typeof command,
    (...values: (string | number | Buffer)[]) => Promise<unknown>
  >
  return scripts[command](...values)
}
