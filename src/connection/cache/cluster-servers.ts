// The cache on a cluster: finds its primaries, and sends each key to the one that its slot is registered for. Why this is
// as safe as a single server: docs/adr/0029-a-cluster-as-many-servers.md.
import type { Logger } from '../../platform/logger.ts'
import type { Database } from '../postgres/database.ts'
import { addressOf } from '../redis/address.ts'
import { openRedis } from '../redis/client.ts'
import { redirectionOf, slotRangesOf, urlOfNode } from '../redis/cluster-replies.ts'
import { RedisError } from '../redis/protocol.ts'
import { type Slots, slotCount, slotOf } from '../redis/slots.ts'
import { keysOf } from './cache.ts'
import type { CacheServers } from './cache-servers.ts'
import { type ClusterPrimary, openClusterPrimary } from './cluster-primary.ts'
import { openClusterRegistry, recordSlotInvalidations } from './cluster-registry.ts'
import { clusterKeys } from './redis-keys.ts'
import { connectionError, UnsupportedCacheServer } from './trust-renewal.ts'

/** How often REDIS_URL's node is asked for the primaries while none of them answers. */
const seedEveryMs = 500

export function openClusterServers(
  url: string,
  { db, logger, isFunction }: { db: Database; logger: Logger; isFunction: boolean },
): CacheServers {
  const registry = openClusterRegistry(db)
  const primaries = new Map<string, ClusterPrimary>()
  /** The primary of each slot. Only a successful renewal of a primary assigns slots to it. */
  const owners = new Array<ClusterPrimary | undefined>(slotCount)
  let isClosed = false
  let isReported = false
  let unsupported: UnsupportedCacheServer | undefined
  let renewed = Promise.withResolvers<void>()

  const { address, password } = addressOf(url)
  const { hostname } = new URL(url)
  const seed = openRedis(address, {
    ...(password && { password }),
    onReady: () => void askSeed(),
    onLost: (reason) => {
      if (isClosed || isReported || primaries.size > 0) return
      isReported = true
      logger.warn('cache unavailable; reads fall back to PostgreSQL', { error: connectionError(reason) })
    },
  })

  const askSeed = async (): Promise<void> => {
    if (!seed.isReady() || [...primaries.values()].some((primary) => primary.known().length > 0)) return
    try {
      const ranges = slotRangesOf(await seed.send('CLUSTER', 'SLOTS'), hostname)
      unsupported = undefined
      for (const { address } of ranges) open(address)
    } catch (error) {
      if (error instanceof RedisError && /cluster support disabled/.test(error.message))
        unsupported = new UnsupportedCacheServer(
          'REDIS_URL has cluster=true, but leads to a server with cluster mode disabled. Remove cluster=true from it.',
        )
      logger.debug('the cluster does not report its primaries', { error })
    }
  }
  const asking = isFunction ? undefined : setInterval(() => void askSeed(), seedEveryMs).unref()

  const open = (address: string): ClusterPrimary => {
    const opened = primaries.get(address)
    if (opened) return opened
    const primary = openClusterPrimary(urlOfNode(url, address), {
      registry,
      logger,
      isFunction,
      onKnown: followTopology,
      onSlots: (slots, isConfirmed) => {
        if (primaries.get(address) === primary) assign(primary, slots, isConfirmed)
      },
      clientOf: (address) => open(address).redis,
    })
    primaries.set(address, primary)
    return primary
  }

  /** Opens and closes connections, so that there is one to each node that any primary names as a primary. */
  const followTopology = (): void => {
    const known = new Set([...primaries.values()].flatMap((primary) => primary.known()))
    if (isClosed || known.size === 0) return
    for (const address of known) open(address)
    for (const [address, primary] of primaries) {
      if (known.has(address)) continue
      primaries.delete(address)
      assign(primary, [], false)
      void primary.close()
    }
  }

  const assign = (primary: ClusterPrimary, slots: Slots, isConfirmed: boolean): void => {
    const isNamed = new Uint8Array(slotCount)
    for (const [from, to] of slots) isNamed.fill(1, from, to + 1)
    for (let slot = 0; slot < slotCount; slot++) {
      if (isNamed[slot] === 0) {
        if (owners[slot] === primary) owners[slot] = undefined
      } else if (isConfirmed) owners[slot] = primary
    }
    if (!isConfirmed) return
    renewed.resolve()
    renewed = Promise.withResolvers<void>()
  }

  const slotOfKey = (key: string): number => slotOf(clusterKeys.redisKey(key, ''))
  const of = (key: string): ClusterPrimary | undefined => owners[slotOfKey(key)]
  const find = async (key: string): Promise<ClusterPrimary | undefined> => {
    if (!isFunction) return of(key)
    await of(key)?.readableEra()
    if (of(key) === undefined) {
      await askSeed()
      await Promise.all([...primaries.values()].map((primary) => primary.readableEra()))
    }
    return of(key)
  }

  return {
    of,
    find,
    keys: clusterKeys,
    groups: (keys) => [...Map.groupBy(keys, slotOfKey)].map(([slot, keys]) => ({ keys, slot })),
    failed: (server, key, error) => {
      const redirection = redirectionOf(error, hostname)
      // The key's slot is being moved: it is read from the database meanwhile.
      if (redirection?.kind === 'ASK' || (error instanceof RedisError && error.code === 'TRYAGAIN')) return
      if (redirection === undefined) return server.distrust(error)
      const slot = slotOfKey(key)
      if (owners[slot]?.redis === server.redis) owners[slot] = undefined
      for (const primary of primaries.values()) primary.wake()
    },
    reassigned: async (key) => {
      if (isFunction) await find(key)
      else await renewed.promise
    },
    recordInvalidation: (queries, ids, names) => recordSlotInvalidations(queries, keysOf(ids, names)),
    list: () =>
      [...primaries.values()]
        .map((server) => ({ name: server.address, server }))
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
    isReadable: async () => {
      if (isFunction) await find('')
      const eras = await Promise.all([...primaries.values()].map((primary) => primary.readableEra()))
      return eras.length > 0 && !eras.includes(undefined) && !owners.includes(undefined)
    },
    unsupported: () => unsupported,
    close: async () => {
      isClosed = true
      clearInterval(asking)
      seed.close()
      await Promise.all([...primaries.values()].map((primary) => primary.close()))
    },
  }
}
