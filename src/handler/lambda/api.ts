// The entry of the API's Lambda function. API Gateway's authorizer has verified the token and passes its claims in the
// event, in a field that clients cannot set.

import { openConnections } from '../../connection/open.ts'
import { openLogger } from '../../platform/logger.ts'
import { metricFields } from '../../platform/metrics.ts'
import { readFunctionSettings } from '../../platform/settings.ts'
import { createTokenPolicy, tokenRules } from '../../services/identity/token-policy.ts'
import { type App, createApp } from '../http/app.ts'
import { isConsolePath } from '../http/console/path.ts'
import { openCors } from '../http/cors.ts'
import type { Reply } from '../http/endpoint.ts'
import { problemReply } from '../http/problem.ts'
import type { Outcome } from '../http/respond.ts'
import {
  type GatewayReply,
  type GatewayRequest,
  readEvent,
  toGatewayReply,
  withoutFile,
} from './gateway-event.ts'

function open(): App<GatewayRequest> {
  const settings = readFunctionSettings()
  const policy = createTokenPolicy(tokenRules(settings.tokens))
  const logger = openLogger(settings.logLevel, { sync: true })
  const connections = openConnections(settings, logger, { isFunction: true })
  const api = createApp<GatewayRequest>(connections, async ({ claims }) => claims && policy.accept(claims), {
    metricFields: requestMetrics,
    cors: openCors(settings.corsOrigins),
  })
  let console: App<GatewayRequest> | undefined
  const answerConsole = async (request: GatewayRequest): Promise<Reply> => {
    const { openConsole } = await import('./console.ts')
    console ??= openConsole(connections, policy, { ...settings, metricFields: requestMetrics })
    return console(request)
  }
  return (request) => (isConsolePath(request.path) ? answerConsole(request) : api(request))
}

// CloudWatch extracts these metrics from the function's log. The Node server does not write them.
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
  // Lambda gives a starting function a whole core.
  app = open()
} catch {
  // The first event tries again and logs the reason.
}

/** @throws Error for an event of another source than API Gateway */
export async function handler(event: unknown): Promise<GatewayReply> {
  const request = readEvent(event)
  try {
    app ??= open()
  } catch (error) {
    openLogger('error', { sync: true }).error('function cannot start', { error })
    return toGatewayReply(request, problemReply(error, crypto.randomUUID()))
  }
  return toGatewayReply(request, await withoutFile(await app(request)))
}
