// Measures how soon a block or a new password ends the sessions that were used in this process.
import { LRUCache } from 'lru-cache'
import type { Logger } from '../../platform/logger.ts'
import { metricFields } from '../../platform/metrics.ts'

export type SessionEnd = {
  /** When this process first refused the session, in epoch milliseconds. */
  refusedAtMs: number
  /** From the end until the last request that this process accepted. */
  outlivedMs: number
}

export type SessionEnds = {
  /** Notes that a request of the session was accepted now. */
  used(session: string): void
  /**
   * Notes that a request of the session was refused, and logs the first refusal.
   * @param endedAtMs the instant stored with the block or the change of password, shortly before its answer, so the
   *   figure is never too small
   */
  refused(session: string, userId: string | undefined, endedAtMs: number | undefined): void
  /** @returns the latest end of a user's sessions; undefined if this process has refused none lately */
  latest(userId: string): SessionEnd | undefined
  /** The sessions that this process has seen end since its start. */
  count(): number
}

const sessionsMax = 10_000
const endsMax = 1_000

/** Limits by size, because `max` would allocate all entries at the start. */
export const limitedTo = (count: number) => ({ maxSize: count, sizeCalculation: () => 1 })

export function createSessionEnds(logger: Logger): SessionEnds {
  const lastUseMs = new LRUCache<string, number>(limitedTo(sessionsMax))
  const ends = new LRUCache<string, SessionEnd>(limitedTo(endsMax))
  let count = 0
  return {
    used: (session) => {
      lastUseMs.set(session, Date.now())
    },
    refused: (session, userId, endedAtMs) => {
      const lastAtMs = lastUseMs.get(session)
      if (lastAtMs === undefined || endedAtMs === undefined) return
      // Reported once, however often the client repeats the token.
      lastUseMs.delete(session)
      const SessionOutlived = Math.max(0, lastAtMs - endedAtMs)
      logger.info('session ended', metricFields('sessionEnd', { SessionOutlived }))
      count++
      if (userId !== undefined) ends.set(userId, { refusedAtMs: Date.now(), outlivedMs: SessionOutlived })
    },
    latest: (userId) => ends.get(userId),
    count: () => count,
  }
}
