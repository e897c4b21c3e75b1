// Bounds on work that is done side by side, so that a burst waits in a queue of known length instead
// of exhausting the machine, and nobody waits for an answer that would come too late.
import pLimit from 'p-limit'
import { overloaded } from '../model/errors.ts'

/**
 * Does the work when its turn comes.
 * @throws ServiceError `overloaded`, at once when the queue is too long already; at its turn when that came too late
 */
export type Limit = <T>(work: () => Promise<T>) => Promise<T>

/** How much the last call counts in the mean of what calls take, which so follows within some ten calls. */
const newestShare = 0.2

/**
 * At most `running` calls at once, and behind them as many as `waiting` says: what they hold is bounded by it.
 * @param bounds.waitMsMax the longest that a call may wait, judged by how many wait and how long calls took of late
 */
export function boundedQueue(
  running: number,
  { waiting, waitMsMax = Number.POSITIVE_INFINITY }: { waiting: number; waitMsMax?: number },
): Limit {
  const limit = pLimit(running)
  /** Zero until a call has ended: then only the number of those that wait bounds the queue, and each one's own wait. */
  let meanMs = 0
  return (work) => {
    if (limit.pendingCount >= waiting || (limit.pendingCount * meanMs) / running > waitMsMax)
      return Promise.reject(overloaded())
    const beginUntil = performance.now() + waitMsMax
    return limit(async () => {
      const begunAt = performance.now()
      if (begunAt > beginUntil) throw overloaded()
      const result = await work()
      // What fails tells nothing: it may have ended early, or found nobody who answers.
      const ms = performance.now() - begunAt
      meanMs = meanMs === 0 ? ms : meanMs + (ms - meanMs) * newestShare
      return result
    })
  }
}
