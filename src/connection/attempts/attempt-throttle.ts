// Throttles attempts to sign in, so that guessing passwords is slow. This file has the interface and the throttle of
// one process, which also replaces Redis during an outage.
import { LRUCache } from 'lru-cache'

/** Attempts that wait for each other. */
export type Bucket = {
  name: string
  /** Attempts that need not wait. */
  burst: number
  /** The first pause between attempts after the burst. It doubles with each attempt. */
  pauseMsMin: number
  pauseMsMax: number
}

export type AttemptThrottle = {
  /**
   * Counts an attempt before it is made, so that concurrent attempts are counted too.
   * @returns how long it must wait; undefined if that is longer than `waitMsMax`, and then it is not counted
   */
  reserve(bucket: Bucket, waitMsMax: number): Promise<number | undefined>
  /** Takes back a reservation, because the attempt succeeded. */
  succeeded(bucket: Bucket): Promise<void>
  /** Remembers a key for 30 days. */
  remember(key: string): Promise<void>
  isRemembered(key: string): Promise<boolean>
  close(): void
}

/** Attempts are forgotten after a pause of this length. */
export const attemptsTtlMs = 15 * 60_000
export const rememberedTtlMs = 30 * 86_400_000

/** Counts the attempts of one process. */
export function openProcessAttemptThrottle(): AttemptThrottle {
  // An attacker who fills them with names evicts their own attempts too, at the cost of a password check each.
  const buckets = new LRUCache<string, { attempts: number; nextAt: number }>({
    max: 50_000,
    ttl: attemptsTtlMs,
  })
  const remembered = new LRUCache<string, true>({ max: 50_000, ttl: rememberedTtlMs })
  return {
    reserve: async ({ name, burst, pauseMsMin, pauseMsMax }, waitMsMax) => {
      const now = performance.now()
      const { attempts, nextAt } = buckets.get(name) ?? { attempts: 0, nextAt: 0 }
      const startAt = Math.max(now, nextAt)
      if (startAt - now > waitMsMax) return undefined
      const pauseMs = attempts < burst ? 0 : Math.min(pauseMsMax, pauseMsMin * 2 ** (attempts - burst))
      buckets.set(name, { attempts: attempts + 1, nextAt: startAt + pauseMs })
      return startAt - now
    },
    succeeded: async ({ name }) => {
      const bucket = buckets.get(name)
      if (bucket) buckets.set(name, { ...bucket, attempts: Math.max(0, bucket.attempts - 1) })
    },
    remember: async (key) => void remembered.set(key, true),
    isRemembered: async (key) => remembered.has(key),
    close: () => {
      buckets.clear()
      remembered.clear()
    },
  }
}
