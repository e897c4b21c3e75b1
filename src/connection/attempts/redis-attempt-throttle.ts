// The counter of tries in Redis, for all processes together. Where Redis does not answer, each process counts for
// itself until it does: guessing is then faster by the number of processes, and nobody is kept from signing in.

import { waitWithin } from '../../platform/deadline.ts'
import type { Logger } from '../../platform/logger.ts'
import { addressOf } from '../redis/address.ts'
import { openRedis, type RedisClient, script } from '../redis/client.ts'
import type { Reply } from '../redis/protocol.ts'
import {
  type AttemptThrottle,
  markTtlMs,
  openProcessAttemptThrottle,
  triesTtlMs,
} from './attempt-throttle.ts'

const prefix = 'user-directory:attempts:1'
/** How long the first try waits for its connection. */
const readyMsMax = 500

// Redis's own clock: the processes' may differ.
const reserveScript = script(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local bucket = redis.call('HMGET', KEYS[1], 'tries', 'next_at')
local tries = tonumber(bucket[1] or 0)
local start = math.max(now, tonumber(bucket[2] or 0))
local wait = start - now
if wait > tonumber(ARGV[4]) then return -1 end
local pause = 0
if tries >= tonumber(ARGV[1]) then
  pause = math.min(ARGV[3], ARGV[2] * 2 ^ (tries - ARGV[1]))
end
redis.call('HSET', KEYS[1], 'tries', tries + 1, 'next_at', string.format('%.0f', start + pause))
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return wait`)

const succeededScript = script(`
if tonumber(redis.call('HGET', KEYS[1], 'tries') or 0) > 0 then redis.call('HINCRBY', KEYS[1], 'tries', -1) end
return 0`)

export function openRedisAttemptThrottle(url: string, logger: Logger): AttemptThrottle {
  // Opened by the first try that needs it: its room for names takes longer to make than the rest of a function's start.
  let twin: AttemptThrottle | undefined
  const ownCount = (): AttemptThrottle => {
    twin ??= openProcessAttemptThrottle()
    return twin
  }
  let client: { redis: RedisClient; ready: Promise<void> } | undefined
  let isReachable = true

  // Opened by the first try: most processes check no password.
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
    otherwise: () => Promise<T>,
  ): Promise<T> => {
    try {
      const result = await work(await connect())
      isReachable = true
      return result
    } catch (error) {
      if (isReachable) logger.warn('tries at passwords are counted by each process for itself', { error })
      isReachable = false
      return otherwise()
    }
  }

  const bucketKey = (name: string) => `${prefix}:bucket:${name}`
  const markKey = (mark: string) => `${prefix}:mark:${mark}`
  return {
    reserve: (bucket, waitMsMax) =>
      attempt(
        async (redis) => {
          const { name, burst, pauseMsMin, pauseMsMax } = bucket
          const values = [burst, pauseMsMin, pauseMsMax, waitMsMax, triesTtlMs]
          const waitMs = numberOf(await redis.run(reserveScript, [bucketKey(name)], values))
          return waitMs < 0 ? undefined : waitMs
        },
        () => ownCount().reserve(bucket, waitMsMax),
      ),
    succeeded: (bucket) =>
      attempt(
        async (redis) => void (await redis.run(succeededScript, [bucketKey(bucket.name)], [])),
        () => ownCount().succeeded(bucket),
      ),
    remember: (mark) =>
      attempt(
        async (redis) => void (await redis.send('SET', markKey(mark), 1, 'PX', markTtlMs)),
        () => ownCount().remember(mark),
      ),
    isRemembered: (mark) =>
      attempt(
        async (redis) => numberOf(await redis.send('EXISTS', markKey(mark))) === 1,
        () => ownCount().isRemembered(mark),
      ),
    close: () => {
      client?.redis.close()
      twin?.close()
    },
  }
}

function numberOf(reply: Reply): number {
  if (typeof reply !== 'number') throw new Error('Redis answered something else than a number')
  return reply
}
