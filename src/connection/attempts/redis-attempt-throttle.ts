// Throttles the attempts of all processes in Redis. During an outage of Redis each process counts its own attempts:
// guessing is then faster by the number of processes, but users can still sign in.

import { waitWithin } from '../../platform/deadline.ts'
import type { Logger } from '../../platform/logger.ts'
import { addressOf } from '../redis/address.ts'
import { openRedis } from '../redis/client.ts'
import type { openRedisCluster } from '../redis/cluster-client.ts'
import type { Reply } from '../redis/protocol.ts'
import {
  type AttemptThrottle,
  attemptsTtlMs,
  openProcessAttemptThrottle,
  rememberedTtlMs,
} from './attempt-throttle.ts'

/** Sends commands and scripts of one key each. */
type KeyedRedis = ReturnType<typeof openRedisCluster>

// Loaded on demand, because most processes check no password.
const loadScripts = () => import('./attempt-scripts.ts')

const prefix = 'user-directory:attempts:1'
/** How long an attempt waits for the connection. */
const readyMsMax = 500

export function openRedisAttemptThrottle(url: string, logger: Logger): AttemptThrottle {
  // Created on demand: allocating its LRU caches takes longer than the rest of a function's start.
  let local: AttemptThrottle | undefined
  const localThrottle = (): AttemptThrottle => {
    local ??= openProcessAttemptThrottle()
    return local
  }
  let client: Promise<{ redis: KeyedRedis; ready: Promise<void> }> | undefined
  let isReachable = true

  const open = async () => {
    const { address, password, isCluster } = addressOf(url)
    const { promise: ready, resolve: onReady } = Promise.withResolvers<void>()
    const options = { ...(password && { password }), onReady }
    if (!isCluster) return { redis: openRedis(address, options), ready }
    const { openRedisCluster } = await import('../redis/cluster-client.ts')
    return { redis: openRedisCluster(address, options), ready }
  }

  // Connects on demand, because most processes check no password.
  const connect = async (): Promise<KeyedRedis> => {
    client ??= open()
    const { redis, ready } = await client
    if (!redis.isReady()) await waitWithin(ready, isReachable ? readyMsMax : 0)
    return redis
  }

  const attempt = async <T>(
    work: (redis: KeyedRedis) => Promise<T>,
    fallback: () => Promise<T>,
  ): Promise<T> => {
    try {
      const result = await work(await connect())
      isReachable = true
      return result
    } catch (error) {
      if (isReachable)
        logger.warn('Redis unavailable; each process throttles sign-in attempts on its own', { error })
      isReachable = false
      return fallback()
    }
  }

  const bucketKey = (name: string) => `${prefix}:bucket:${name}`
  const rememberedKey = (key: string) => `${prefix}:remembered:${key}`
  return {
    reserve: (bucket, waitMsMax) =>
      attempt(
        async (redis) => {
          const { name, burst, pauseMsMin, pauseMsMax } = bucket
          const values = [burst, pauseMsMin, pauseMsMax, waitMsMax, attemptsTtlMs]
          const { reserveScript } = await loadScripts()
          const waitMs = numberOf(await redis.run(reserveScript, [bucketKey(name)], values))
          return waitMs < 0 ? undefined : waitMs
        },
        () => localThrottle().reserve(bucket, waitMsMax),
      ),
    succeeded: (bucket) =>
      attempt(
        async (redis) => {
          const { succeededScript } = await loadScripts()
          await redis.run(succeededScript, [bucketKey(bucket.name)], [])
        },
        () => localThrottle().succeeded(bucket),
      ),
    remember: (key) =>
      attempt(
        async (redis) => void (await redis.send('SET', rememberedKey(key), 1, 'PX', rememberedTtlMs)),
        () => localThrottle().remember(key),
      ),
    isRemembered: (key) =>
      attempt(
        async (redis) => numberOf(await redis.send('EXISTS', rememberedKey(key))) === 1,
        () => localThrottle().isRemembered(key),
      ),
    close: () => {
      void client?.then(({ redis }) => redis.close())
      local?.close()
    },
  }
}

function numberOf(reply: Reply): number {
  if (typeof reply !== 'number') throw new Error('Redis did not reply with an integer')
  return reply
}
