// The cache in Redis or Valkey: leases (docs/adr/0008), read only while the server is trusted (docs/adr/0002).
import { setTimeout as pause } from 'node:timers/promises'
import { unavailable } from '../../model/errors.ts'
import { waitWithin } from '../../platform/deadline.ts'
import type { Logger } from '../../platform/logger.ts'
import type { Database } from '../postgres/database.ts'
import { script } from '../redis/client.ts'
import { RedisError } from '../redis/protocol.ts'
import { type Cache, entryTtlMs, isNegative, keysOf, leaseTtlMs, negativeTtlMs } from './cache.ts'
import { redisKey } from './redis-keys.ts'
import { bytesOf } from './redis-replies.ts'
import { createRedisWalk } from './redis-walk.ts'
import { openCacheRegistry, recordInvalidation } from './registry.ts'
import { openTrustedServer } from './trust-renewal.ts'

// The first character of a lease; an entry begins with a digit.
const leaseMark = 'L'.charCodeAt(0)

// Pauses between looks at a key that another process is loading. After the last one, this process loads it too.
const loadPausesMs = [2, 4, 8, 16, 20]
/** How long a write delays its response to invalidate. */
const invalidateMsMax = 750
const checkMsMax = 1_000
// More keys in one command would delay the commands of other clients.
const keysPerCommand = 500

const fillScript = script(`
local value = redis.call('GET', KEYS[1])
if value == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  return ARGV[2]
end
return value`)

/** @param options.isFunction a Lambda function: a write's invalidation record is deleted before its response */
export function openRedisCache(
  url: string,
  { db, logger, isFunction = false }: { db: Database; logger: Logger; isFunction?: boolean },
): Cache {
  const registry = openCacheRegistry(db)
  const server = openTrustedServer(url, { registry, logger, isFunction })
  const { redis, trust, distrust } = server
  /** Created on first use, because loading the random number generator takes time. */
  let leasePrefix: string | undefined
  const ownLeasePrefix = (): string => {
    leasePrefix ??= `L${crypto.randomUUID()}:`
    return leasePrefix
  }
  let leases = 0
  const loadsElsewhere = new Map<string, Promise<void>>()

  // Redis rejects writes when it is out of memory; its entries can still be read and removed.
  const isOutOfMemory = (error: unknown): boolean => error instanceof RedisError && error.code === 'OOM'

  // `lookUp` repeats these lines, because another promise would cost a cached read as much as finding its token.
  const attempt = async <T>(work: (era: string) => Promise<T>): Promise<T | undefined> => {
    const era = trust.readable()
    if (era === undefined) return undefined
    try {
      return await work(era)
    } catch (error) {
      if (!isOutOfMemory(error)) distrust(error)
      return undefined
    }
  }

  /** @returns the entry or lease under the key; a new lease if there was neither */
  const lookUp = async (key: string): Promise<Buffer | undefined> => {
    const era = trust.readable() ?? (isFunction ? await server.readableEra() : undefined)
    if (era === undefined) return undefined
    try {
      const fullKey = redisKey(key, era)
      const found = bytesOf(await redis.send('GET', fullKey))
      if (found) return found
      const lease = `${ownLeasePrefix()}${++leases}`
      // Keeps and returns an entry or lease that another reader has stored since the GET.
      const existing = await redis.send('SET', fullKey, lease, 'NX', 'GET', 'PX', leaseTtlMs)
      return bytesOf(existing) ?? Buffer.from(lease)
    } catch (error) {
      if (!isOutOfMemory(error)) distrust(error)
      return undefined
    }
  }

  const isOtherProcessLease = (value: Buffer): boolean =>
    value[0] === leaseMark && value.toString('latin1', 0, ownLeasePrefix().length) !== ownLeasePrefix()

  /** Waits a little for another process's load, so that not every process reads the database. */
  const awaitLoadElsewhere = (key: string, lease: Buffer): Promise<void> => {
    const known = loadsElsewhere.get(key)
    if (known !== undefined) return known
    const waiting = (async () => {
      for (const pauseMs of loadPausesMs) {
        await pause(pauseMs)
        const value = await attempt(async (era) => bytesOf(await redis.send('GET', redisKey(key, era))))
        if (!value?.equals(lease)) return
      }
    })().finally(() => loadsElsewhere.delete(key))
    loadsElsewhere.set(key, waiting)
    return waiting
  }

  return {
    ...createRedisWalk(server),
    read: async (key) => {
      let value = await lookUp(key)
      if (value && isOtherProcessLease(value)) {
        await awaitLoadElsewhere(key, value)
        // A shared wait may have seen an entry that is older than this read, so each reader looks again.
        value = await lookUp(key)
      }
      if (!value) return { kind: 'bypass' }
      if (value[0] === leaseMark) return { kind: 'miss', lease: value.toString('latin1') }
      return { kind: 'hit', entry: value }
    },
    fill: async (key, lease, entry) => {
      const ttlMs = Math.round(isNegative(entry) ? negativeTtlMs : entryTtlMs())
      const value = await attempt(async (era) =>
        bytesOf(await redis.run(fillScript, [redisKey(key, era)], [lease, entry, ttlMs])),
      )
      return value && value[0] !== leaseMark ? value : undefined
    },
    recordInvalidation: (queries, ids, names = []) => recordInvalidation(queries, ids, names),
    invalidate: async (ids, recordId, names = []) => {
      const keys = keysOf(ids, names)
      const giveUpAt = performance.now() + invalidateMsMax
      for (;;) {
        const era = trust.known()
        if (era !== undefined) {
          try {
            for (let at = 0; at < keys.length; at += keysPerCommand)
              await redis.send(
                'UNLINK',
                ...keys.slice(at, at + keysPerCommand).map((key) => redisKey(key, era)),
              )
            if (recordId === undefined) return
            if (isFunction) await registry.complete([recordId], era).catch(() => {})
            else trust.done(recordId, era)
            return
          } catch (error) {
            distrust(error)
          }
        }
        // Waiting is useless without a connection, or if removals have failed for a while. The record remains, and
        // ends the trust of every process that cannot remove the entries either.
        const now = performance.now()
        const isHopeless = !redis.isReady() || now - server.unavailableSince() > invalidateMsMax
        if (isHopeless || now >= giveUpAt) return
        await waitWithin(server.nextRenewal(), giveUpAt - now)
      }
    },
    check: async () => {
      const giveUpAt = performance.now() + checkMsMax
      while ((await server.readableEra()) === undefined) {
        const unsupported = server.unsupported()
        if (unsupported) throw unsupported
        if (performance.now() > giveUpAt) throw unavailable('The cache')
        await pause(10)
      }
      await server.withEra(() => redis.send('PING'))
    },
    close: server.close,
  }
}
