// The OpenID provider that signs people in: its metadata, and the tokens that it gives.
import * as oauth from 'oauth4webapi'
import type { Credentials } from '../credentials.ts'
import { CommandError } from '../exit-codes.ts'
import { isLoopback } from '../server-address.ts'

export type Provider = {
  server: oauth.AuthorizationServer
  client: oauth.Client
  auth: oauth.ClientAuth
  /** For every request to the provider. */
  request: () => oauth.HttpRequestOptions<'GET' | 'POST', URLSearchParams | undefined>
}

const requestMsMax = 15_000

/** @throws CommandError if the provider cannot be reached, or is not one */
export async function findProvider(
  issuer: string,
  { clientId, secret }: { clientId: string; secret: string | undefined },
): Promise<Provider> {
  const url = new URL(issuer)
  const request = () => ({
    signal: AbortSignal.timeout(requestMsMax),
    // The local issuer has no TLS.
    [oauth.allowInsecureRequests]: isLoopback(url),
  })
  const server = await reportFaults(issuer, async () =>
    oauth.processDiscoveryResponse(
      url,
      await oauth.discoveryRequest(url, { algorithm: 'oidc', ...request() }),
    ),
  )
  const auth = secret === undefined ? oauth.None() : oauth.ClientSecretBasic(secret)
  return { server, client: { client_id: clientId }, auth, request }
}

/** Turns the library's errors into messages for people. They hold no token. */
export async function reportFaults<T>(issuer: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof CommandError) throw error
    if (error instanceof oauth.ResponseBodyError || error instanceof oauth.AuthorizationResponseError) {
      const { error: code, error_description: description } = error
      const detail = description === undefined ? '' : `: ${description}`
      throw new CommandError('forbidden', `${issuer} refused the sign-in (${code})${detail}`)
    }
    if (error instanceof oauth.OperationProcessingError)
      throw new CommandError('failed', `${issuer} did not answer as an OpenID provider: ${error.message}`)
    throw new CommandError('unreachable', `${issuer} cannot be reached.`)
  }
}

export function toCredentials(
  { server, client }: Provider,
  tokens: oauth.TokenEndpointResponse,
  earlier?: Credentials,
): Credentials {
  const refreshToken = tokens.refresh_token ?? earlier?.refresh_token
  return {
    issuer: server.issuer,
    client_id: client.client_id,
    access_token: tokens.access_token,
    // RFC 6749, section 5.1, only recommends the lifetime.
    expires_at: Math.floor(Date.now() / 1_000) + (tokens.expires_in ?? 300),
    ...(refreshToken !== undefined && { refresh_token: refreshToken }),
  }
}

/** Gets a token for a machine client. */
export async function getClientToken(provider: Provider, scope: string | undefined): Promise<Credentials> {
  const { server, client, auth, request } = provider
  return reportFaults(server.issuer, async () => {
    const parameters = scope === undefined ? new URLSearchParams() : new URLSearchParams({ scope })
    const response = await oauth.clientCredentialsGrantRequest(server, client, auth, parameters, request())
    const tokens = await oauth.processClientCredentialsResponse(server, client, response)
    return { ...toCredentials(provider, tokens), ...(scope !== undefined && { scope }) }
  })
}

export async function refreshTokens(provider: Provider, earlier: Credentials): Promise<Credentials> {
  const { server, client, auth, request } = provider
  return reportFaults(server.issuer, async () => {
    const token = earlier.refresh_token ?? ''
    const response = await oauth.refreshTokenGrantRequest(server, client, auth, token, request())
    return toCredentials(provider, await oauth.processRefreshTokenResponse(server, client, response), earlier)
  })
}

/** RFC 7009. A provider without the endpoint ends the token by its age alone. */
export async function revokeTokens(provider: Provider, { refresh_token }: Credentials): Promise<void> {
  const { server, client, auth, request } = provider
  if (server.revocation_endpoint === undefined || refresh_token === undefined) return
  await reportFaults(server.issuer, async () =>
    oauth.processRevocationResponse(
      await oauth.revocationRequest(server, client, auth, refresh_token, request()),
    ),
  )
}
