// The entry of a function that a schedule calls each minute: runs imports and exports until none is left. A job that
// needs longer than one call goes on in the next.
import { openConnections } from '../connection/open.ts'
import { openLogger } from '../platform/logger.ts'
import { readFunctionSettings } from '../platform/settings.ts'
import { drainJobs } from '../services/jobs/run.ts'

// Time reserved for the last chunk and for giving the job back before the function's timeout.
const reserveMs = 20_000

/** @throws Error if the jobs cannot be read */
export async function handler(
  _event: unknown,
  context: { getRemainingTimeInMillis(): number },
): Promise<void> {
  const settings = readFunctionSettings()
  const logger = openLogger(settings.logLevel, { sync: true })
  const runMs = Math.max(0, context.getRemainingTimeInMillis() - reserveMs)
  const connections = openConnections(settings, logger, { isFunction: true })
  try {
    await drainJobs(connections, AbortSignal.timeout(runMs))
  } finally {
    await connections.close()
  }
}
