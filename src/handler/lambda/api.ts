// The entry of the API's function behind API Gateway. The gateway's authorizer has checked the caller's
// token; what it says of it is in the event, and nothing that a client can set is.

import { openConnections } from '../../connection/open.ts'
import { openLogger } from '../../platform/logger.ts'
import { metricFields } from '../../platform/metrics.ts'
import { readFunctionSettings } from '../../platform/settings.ts'
import { createTokenPolicy, tokenRules } from '../../services/identity/token-policy.ts'
import { type App, createApp, type Outcome } from '../http/app.ts'
import { openCors } from '../http/cors.ts'
import { problemReply } from '../http/problem.ts'
import { type GatewayAnswer, type GatewayRequest, readEvent, toAnswer } from './gateway-event.ts'

function open(): App<GatewayRequest> {
  const settings = readFunctionSettings()
  const policy = createTokenPolicy(tokenRules(settings.tokens))
  const logger = openLogger(settings.logLevel, { sync: true })
  const connections = openConnections(settings, logger, { isFunction: true })
  return createApp<GatewayRequest>(connections, async ({ claims }) => claims && policy.accept(claims), {
    metricFields: requestMetrics,
    cors: openCors(settings.corsOrigins),
  })
}

// For CloudWatch, which reads a function's log. The Node server's may go anywhere, and has no use for them.
function requestMetrics({ status, durationMs, cache }: Outcome): Record<string, unknown> {
  return metricFields('request', {
    Requests: 1,
    Latency: durationMs,
    ServerErrors: status === 500 ? 1 : 0,
    Refused: status === 429 || status === 503 ? 1 : 0,
    CacheHits: cache === 'hit' ? 1 : 0,
    CacheMisses: cache === 'miss' ? 1 : 0,
    CacheBypasses: cache === 'bypass' ? 1 : 0,
  })
}

let app: App<GatewayRequest> | undefined
try {
  // While the function starts it has a whole core.
  app = open()
} catch {
  // The next event tries again, and logs why it could not.
}

/** @throws Error for an event that is not API Gateway's */
export async function handler(event: unknown): Promise<GatewayAnswer> {
  const request = readEvent(event)
  try {
    app ??= open()
  } catch (error) {
    openLogger('error', { sync: true }).error('the function cannot start', { error })
    return toAnswer(request, problemReply(error, crypto.randomUUID()))
  }
  return toAnswer(request, await app(request))
}
