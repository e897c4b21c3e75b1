// The entry of the function that a schedule calls each minute: delivers changes to the user pool and the event bus
// until the next call.
import { openConnections } from '../connection/open.ts'
import { openLogger } from '../platform/logger.ts'
import { readFunctionSettings } from '../platform/settings.ts'
import { runDelivery } from '../services/outbox/relay.ts'
import { outboxState } from '../services/outbox/state.ts'

const runMsMax = 55_000
// Time reserved for the last round before the function's timeout.
const reserveMs = 5_000

/** @returns the remaining work. @throws Error if the outbox cannot be read */
export async function handler(
  _event: unknown,
  context: { getRemainingTimeInMillis(): number },
): Promise<{ pending: number; lagSeconds: number }> {
  const settings = readFunctionSettings()
  const logger = openLogger(settings.logLevel, { sync: true })
  const runMs = Math.max(0, Math.min(runMsMax, context.getRemainingTimeInMillis() - reserveMs))
  const connections = openConnections(settings, logger, { isFunction: true })
  try {
    await runDelivery(connections, AbortSignal.timeout(runMs))
    return await outboxState(connections)
  } finally {
    await connections.close()
  }
}
