// The entry of the function that EventBridge calls once a day: compares the cache and the avatars with the database.
import { openConnections } from '../connection/open.ts'
import { openLogger } from '../platform/logger.ts'
import { readFunctionSettings } from '../platform/settings.ts'
import { type Revalidation, revalidate } from '../services/revalidation/run.ts'

// Time reserved for the last step and its checkpoint before the function's timeout.
const reserveMs = 20_000

/** @throws Error if time runs out; the schedule's retry continues there */
export async function handler(
  _event: unknown,
  context: { getRemainingTimeInMillis(): number },
): Promise<Revalidation> {
  const logger = openLogger('info', { sync: true })
  const settings = readFunctionSettings()
  const stopAt = performance.now() + context.getRemainingTimeInMillis() - reserveMs
  const connections = openConnections(settings, logger, { isFunction: true })
  try {
    const result = await revalidate(connections, { stopAt })
    if (!result.isFinished) throw new Error('Time ran out. The next run continues where this one stopped.')
    return result
  } finally {
    await connections.close()
  }
}
