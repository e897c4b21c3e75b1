// Repeats calls that a busy cache did not answer in time.
import { ServiceError } from '../../model/errors.ts'
import type { ServiceContext } from '../context.ts'

const attemptsMax = 5

/**
 * Repeats a call that failed as `unavailable`, for as long as the cache answers a check.
 * @throws as `call` and the check do
 */
export async function withRetry<T>(
  { cache }: ServiceContext,
  call: () => Promise<T>,
  onFailure: () => void = () => {},
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call()
    } catch (error) {
      if (!(error instanceof ServiceError) || error.code !== 'unavailable' || attempt === attemptsMax)
        throw error
    }
    onFailure()
    await cache.check()
  }
}
