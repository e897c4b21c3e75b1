// The entry of the function that EventBridge calls once a day.

import { openConnections } from '../connection/open.ts'
import { openLogger } from '../platform/logger.ts'
import { readFunctionSettings } from '../platform/settings.ts'
import { type Revalidation, revalidate } from '../services/revalidation/run.ts'

// What is left for the last step and its checkpoint when the function's time runs out.
const reserveMs = 20_000

/** @throws Error when not everything could be walked in the time: the schedule's retry goes on there */
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
    if (!result.isFinished) throw new Error('The time ran out; the next run goes on where this one stopped.')
    return result
  } finally {
    await connections.close()
  }
}
