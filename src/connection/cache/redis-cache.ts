// The cache in Redis or Valkey: leases (docs/adr/0008), read only while the server is trusted (docs/adr/0002).
import { setTimeout as pause } from 'node:timers/promises'
import { unavailable } from '../../model/errors.ts'
import { waitWithin } from '../../platform/deadline.ts'
import type { Logger } from '../../platform/logger.ts'
import type { Database } from '../postgres/database.ts'
import { addressOf } from '../redis/address.ts'
import { type RedisClient, script } from '../redis/client.ts'
import { RedisError } from '../redis/protocol.ts'
import { type Cache, entryTtlMs, isNegative, keysOf, leaseTtlMs, negativeTtlMs } from './cache.ts'
import { loadClusterServers } from './cluster-loader.ts'
import { bytesOf } from './redis-replies.ts'
import { openSingleServer } from './single-server.ts'
import type { TrustedServer } from './trust-renewal.ts'

// The first character of a lease; an entry begins with a digit.
const leaseMark = 'L'.charCodeAt(0)

// Pauses between looks at a key that another process is loading. After the last one, this process loads it too.
const loadPausesMs = [2, 4, 8, 16, 20]
/** How long a write delays its response to invalidate. */
const invalidateMsMax = 750
const checkMsMax = 1_000

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
  const { isCluster } = addressOf(url)
  const servers = (isCluster ? loadClusterServers : openSingleServer)(url, { db, logger, isFunction })
  const { redisKey } = servers.keys
  /** Created on first use, because loading the random number generator takes time. */
  let leasePrefix: string | undefined
  const ownLeasePrefix = (): string => {
    leasePrefix ??= `L${crypto.randomUUID()}:`
    return leasePrefix
  }
  let leases = 0
  const loadsElsewhere = new Map<string, Promise<void>>()

  const failed = (server: TrustedServer, key: string, error: unknown): void => {
    // Redis rejects writes when it is out of memory; its entries can still be read and removed.
    if (!(error instanceof RedisError && error.code === 'OOM')) servers.failed(server, key, error)
  }

  // `lookUp` repeats these lines, because another promise would cost a cached read as much as finding its token.
  const attempt = async <T>(
    key: string,
    work: (redis: RedisClient, fullKey: string) => Promise<T>,
  ): Promise<T | undefined> => {
    const server = servers.of(key)
    const era = server?.trust.readable()
    if (!server || era === undefined) return undefined
    try {
      return await work(server.redis, redisKey(key, era))
    } catch (error) {
      failed(server, key, error)
      return undefined
    }
  }

  /** @returns the entry or lease under the key; a new lease if there was neither */
  const lookUp = async (key: string): Promise<Buffer | undefined> => {
    let server = servers.of(key)
    let era = server?.trust.readable()
    if (era === undefined && isFunction) {
      server = await servers.find(key)
      era = server?.trust.readable()
    }
    if (!server || era === undefined) return undefined
    try {
      const { redis } = server
      const fullKey = redisKey(key, era)
      const found = bytesOf(await redis.send('GET', fullKey))
      if (found) return found
      const lease = `${ownLeasePrefix()}${++leases}`
      // Keeps and returns an entry or lease that another reader has stored since the GET.
      const existing = await redis.send('SET', fullKey, lease, 'NX', 'GET', 'PX', leaseTtlMs)
      return bytesOf(existing) ?? Buffer.from(lease)
    } catch (error) {
      failed(server, key, error)
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
        const value = await attempt(key, async (redis, fullKey) => bytesOf(await redis.send('GET', fullKey)))
        if (!value?.equals(lease)) return
      }
    })().finally(() => loadsElsewhere.delete(key))
    loadsElsewhere.set(key, waiting)
    return waiting
  }

  // Loaded on demand, because requests do without it.
  const walk = async () => (await import('./redis-walk.ts')).createRedisWalk(servers)

  /** @param recordId the record of exactly these keys */
  const invalidateGroup = async (keys: string[], recordId: number | undefined): Promise<void> => {
    const [first] = keys
    if (first === undefined) return
    const giveUpAt = performance.now() + invalidateMsMax
    for (;;) {
      const server = servers.of(first)
      const era = server?.trust.known()
      if (server && era !== undefined) {
        try {
          await server.remove(era, keys)
          if (recordId !== undefined) await server.done(recordId, era)
          return
        } catch (error) {
          servers.failed(server, first, error)
        }
      }
      // Waiting is useless without a connection, or if removals have failed for a while. The record remains, and
      // ends the trust of every process that cannot remove the entries either.
      const now = performance.now()
      const isHopeless = isDown(server) || now >= giveUpAt
      if (isHopeless) return
      await waitWithin(servers.reassigned(first), giveUpAt - now)
    }
  }

  const isDown = (server: TrustedServer | undefined): boolean =>
    server === undefined
      ? servers.list().every(({ server }) => !server.redis.isReady())
      : !server.redis.isReady() || performance.now() - server.unavailableSince() > invalidateMsMax

  return {
    scan: async (from) => (await walk()).scan(from),
    versions: async (keys) => (await walk()).versions(keys),
    remove: async (entries) => (await walk()).remove(entries),
    size: async () => (await walk()).size(),
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
      const value = await attempt(key, async (redis, fullKey) =>
        bytesOf(await redis.run(fillScript, [fullKey], [lease, entry, ttlMs])),
      )
      return value && value[0] !== leaseMark ? value : undefined
    },
    recordInvalidation: (queries, ids, names = []) => servers.recordInvalidation(queries, ids, names),
    invalidate: async (ids, records, names = []) => {
      const groups = servers.groups(keysOf(ids, names))
      const recordIds = new Map(records?.map(({ id, slot }) => [slot ?? undefined, id]))
      await Promise.all(groups.map(({ keys, slot }) => invalidateGroup(keys, recordIds.get(slot))))
    },
    check: async () => {
      const giveUpAt = performance.now() + checkMsMax
      while (!(await servers.isReadable())) {
        const unsupported = servers.unsupported()
        if (unsupported) throw unsupported
        if (performance.now() > giveUpAt) throw unavailable('The cache')
        await pause(10)
      }
      await Promise.all(servers.list().map(({ server }) => server.withEra(() => server.redis.send('PING'))))
    },
    close: servers.close,
  }
}
