// Waits while the cache is down, because each chunk of a job would leave thousands of invalidations that cannot be done.
import { setTimeout as pause } from 'node:timers/promises'
import type { ServiceContext } from '../context.ts'

const pauseMs = 1_000

export async function whenCacheAnswers({ cache }: ServiceContext, signal: AbortSignal): Promise<void> {
  for (;;)
    try {
      return await cache.check()
    } catch {
      await pause(pauseMs, undefined, { signal })
    }
}
