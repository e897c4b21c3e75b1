// Counts tries at passwords, so that guessing is slow: a small interface, kept in Redis or, when none is
// configured or it does not answer, in the process.
import { LRUCache } from 'lru-cache'

/** Tries that wait for one another. */
export type Bucket = {
  name: string
  /** Tries that need not wait. */
  burst: number
  /** The first pause between two tries after that; it doubles with each try. */
  pauseMsMin: number
  pauseMsMax: number
}

export type AttemptThrottle = {
  /**
   * Counts a try before it is made, so that a thousand at once are counted too.
   * @returns how long it must wait; undefined, and nothing counted, when that would be longer than `waitMsMax`
   */
  reserve(bucket: Bucket, waitMsMax: number): Promise<number | undefined>
  /** The try was right, and does not count. */
  succeeded(bucket: Bucket): Promise<void>
  /** Remembers a mark for a month from now. */
  remember(mark: string): Promise<void>
  isRemembered(mark: string): Promise<boolean>
  close(): void
}

/** Tries are forgotten when there was none for so long. */
export const triesTtlMs = 15 * 60_000
export const markTtlMs = 30 * 86_400_000

/** The embedded default: for the tries at one process. */
export function openProcessAttemptThrottle(): AttemptThrottle {
  // Whoever fills them with names pushes out his own tries as well; each name costs a check.
  const buckets = new LRUCache<string, { tries: number; nextAt: number }>({ max: 50_000, ttl: triesTtlMs })
  const marks = new LRUCache<string, true>({ max: 50_000, ttl: markTtlMs })
  return {
    reserve: async ({ name, burst, pauseMsMin, pauseMsMax }, waitMsMax) => {
      const now = performance.now()
      const { tries, nextAt } = buckets.get(name) ?? { tries: 0, nextAt: 0 }
      const startAt = Math.max(now, nextAt)
      if (startAt - now > waitMsMax) return undefined
      const pauseMs = tries < burst ? 0 : Math.min(pauseMsMax, pauseMsMin * 2 ** (tries - burst))
      buckets.set(name, { tries: tries + 1, nextAt: startAt + pauseMs })
      return startAt - now
    },
    succeeded: async ({ name }) => {
      const bucket = buckets.get(name)
      if (bucket) buckets.set(name, { ...bucket, tries: Math.max(0, bucket.tries - 1) })
    },
    remember: async (mark) => void marks.set(mark, true),
    isRemembered: async (mark) => marks.has(mark),
    close: () => {
      buckets.clear()
      marks.clear()
    },
  }
}
