// Bounds on work that is done side by side, so that a burst waits in a queue of known length instead
// of exhausting the machine.
import pLimit from 'p-limit'
import { ServiceError } from '../model/errors.ts'

export type Limit = <T>(work: () => Promise<T>) => Promise<T>

/**
 * At most `running` calls at once and `waiting` behind them.
 * @throws ServiceError `overloaded` for a call that finds the queue full.
 */
export function boundedQueue(running: number, waiting: number): Limit {
  const limit = pLimit(running)
  return (work) => {
    if (limit.pendingCount >= waiting)
      throw new ServiceError('overloaded', 'The service has more work than it can do. Try again shortly.', {
        retryAfterSeconds: 2,
      })
    return limit(work)
  }
}
