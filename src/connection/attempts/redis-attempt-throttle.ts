// Throttles the attempts of all processes in Redis. During an outage of Redis each process counts its own attempts:
// guessing is then faster by the number of processes, but users can still sign in.

import { waitWithin } from '../../platform/deadline.ts'
import type { Logger } from '../../platform/logger.ts'
import { addressOf } from '../redis/address.ts'
import { openRedis, type RedisClient, script } from '../redis/client.ts'
import type { Reply } from '../redis/protocol.ts'
import {
  type AttemptThrottle,
  attemptsTtlMs,
  openProcessAttemptThrottle,
  rememberedTtlMs,
} from './attempt-throttle.ts'

const prefix = 'user-directory:attempts:1'
/** How long an attempt waits for the connection. */
const readyMsMax = 500

// Uses Redis's clock, because those of the processes may differ.
const reserveScript = script(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local bucket = redis.call('HMGET', KEYS[1], 'attempts', 'next_at')
local attempts = tonumber(bucket[1] or 0)
local start = math.max(now, tonumber(bucket[2] or 0))
local wait = start - now
if wait > tonumber(ARGV[4]) then return -1 end
local pause = 0
if attempts >= tonumber(ARGV[1]) then
  pause = math.min(ARGV[3], ARGV[2] * 2 ^ (attempts - ARGV[1]))
end
redis.call('HSET', KEYS[1], 'attempts', attempts + 1, 'next_at', string.format('%.0f', start + pause))
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return wait`)

const succeededScript = script(`
if tonumber(redis.call('HGET', KEYS[1], 'attempts') or 0) > 0 then redis.call('HINCRBY', KEYS[1], 'attempts', -1) end
return 0`)

export function openRedisAttemptThrottle(url: string, logger: Logger): AttemptThrottle {
  // Created on demand: allocating its LRU caches takes longer than the rest of a function's start.
  let local: AttemptThrottle | undefined
  const localThrottle = (): AttemptThrottle => {
    local ??= openProcessAttemptThrottle()
    return local
  }
  let client: { redis: RedisClient; ready: Promise<void> } | undefined
  let isReachable = true

  // Connects on demand, because most processes check no password.
  const connect = async (): Promise<RedisClient> => {
    if (!client) {
      const { address, password } = addressOf(url)
      let onReady = () => {}
      const ready = new Promise<void>((done) => {
        onReady = done
      })
      client = { redis: openRedis(address, { ...(password && { password }), onReady }), ready }
    }
    const { redis, ready } = client
    if (!redis.isReady()) await waitWithin(ready, isReachable ? readyMsMax : 0)
    return redis
  }

  const attempt = async <T>(
    work: (redis: RedisClient) => Promise<T>,
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
          const waitMs = numberOf(await redis.run(reserveScript, [bucketKey(name)], values))
          return waitMs < 0 ? undefined : waitMs
        },
        () => localThrottle().reserve(bucket, waitMsMax),
      ),
    succeeded: (bucket) =>
      attempt(
        async (redis) => void (await redis.run(succeededScript, [bucketKey(bucket.name)], [])),
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
      client?.redis.close()
      local?.close()
    },
  }
}

function numberOf(reply: Reply): number {
  if (typeof reply !== 'number') throw new Error('Redis did not reply with an integer')
  return reply
}
