// The console on AWS, without its files, which CloudFront serves. The session's token takes the place of the gateway's
// authorizer, so this app verifies it. Loaded by the first request of the console.
import type { Connections } from '../../connection/open.ts'
import { openOpenIdProviderFunction } from '../../connection/tokens/openid-provider-function.ts'
import { openTokenVerifier } from '../../connection/tokens/token-verifier.ts'
import type { TokenPolicy } from '../../model/claims.ts'
import { createRequestCounts } from '../../platform/request-counts.ts'
import type { Settings } from '../../platform/settings.ts'
import { createCallerLookup } from '../../services/identity/callers.ts'
import { type App, createApp } from '../http/app.ts'
import { bearerToken } from '../http/bearer-token.ts'
import { apiRequestHeader } from '../http/console/api-request-header.ts'
import { createConsole } from '../http/console/console.ts'
import { countRequest } from '../http/count-request.ts'
import type { MetricFields } from '../http/respond.ts'
import type { GatewayRequest } from './gateway-event.ts'

/** @returns an app that answers 404 unless the settings name a client and the function that calls its provider */
export function openConsole(
  connections: Connections,
  policy: TokenPolicy,
  {
    console,
    openIdProviderFunction = '',
    metricFields,
  }: Pick<Settings, 'console' | 'openIdProviderFunction'> & { metricFields: MetricFields },
): App<GatewayRequest> {
  const provider = openOpenIdProviderFunction(openIdProviderFunction)
  const verifier = openTokenVerifier(policy, provider.keys)
  const callers = createCallerLookup(connections)
  const counts = createRequestCounts()
  const api = createApp<GatewayRequest>(
    connections,
    async (request) => verifier.verify(bearerToken(request) ?? ''),
    {
      callers,
      metricFields,
      observe: (log, status, durationMs) => countRequest(counts, log, { status, durationMs }),
    },
  )
  const { issuer } = policy.rules
  const { clientId } = console ?? {}
  return createConsole<GatewayRequest>({
    connections,
    callers,
    counts,
    verifier,
    metricFields,
    site:
      console && clientId !== undefined && openIdProviderFunction !== ''
        ? {
            origin: console.origin,
            isLocal: false,
            provider: { issuer, clientId, clientSecret: undefined, isCognito: true },
          }
        : undefined,
    openProvider: () => provider,
    servesFiles: false,
    checkRequest: () => {},
    callApi: (request, { path, token }) =>
      api({ ...request, path, header: (name) => apiRequestHeader(request, token, name) }),
  }).answer
}
