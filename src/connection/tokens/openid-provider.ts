// An OpenID provider that signs people in: the authorization code flow with PKCE (RFC 6749, RFC 7636, OpenID Connect Core).
// Load it with `import()`, because the library has 100 KB.
import { decodeJwt } from 'jose'
import * as oauth from 'oauth4webapi'
import { ServiceError, unavailable } from '../../model/errors.ts'
import { RejectedSignIn } from './rejected-sign-in.ts'

/** The secrets of one sign-in, which bind its end to its start. */
export type SignInSecrets = { state: string; nonce: string; codeVerifier: string }

export type ProviderTokens = {
  accessToken: string
  /** Undefined if the provider issues none: the session then ends with the access token. */
  refreshToken: string | undefined
  lifetimeSeconds: number
}

export type OpenIdProvider = {
  /** @returns the address of the sign-in page for this sign-in @throws ServiceError `unavailable` */
  signInUrl(secrets: SignInSecrets): Promise<string>
  /**
   * @param parameters the query of the redirect back
   * @throws RejectedSignIn if the provider or a check rejects the sign-in; ServiceError `unavailable`
   */
  redeem(parameters: URLSearchParams, secrets: SignInSecrets): Promise<ProviderTokens>
  /** @returns undefined if the provider refuses @throws ServiceError `unavailable` */
  refresh(refreshToken: string): Promise<ProviderTokens | undefined>
  /** Revokes the refresh token (RFC 7009) where the provider supports it. @throws ServiceError `unavailable` */
  revoke(refreshToken: string): Promise<void>
  /** @returns where the browser signs out of the provider, or undefined if it has no such page */
  signOutUrl(): Promise<string | undefined>
}

export type OpenIdProviderOptions = {
  issuer: string
  clientId: string
  clientSecret: string | undefined
  redirectUri: string
  /** Where the browser comes back to after signing out. */
  afterSignOutUri: string
  /** Cognito's sign-out page has its own parameters. */
  isCognito: boolean
}

const requestMsMax = 5_000
const metadataMsMax = 3_600_000

export function openOpenIdProvider(options: OpenIdProviderOptions): OpenIdProvider {
  const { issuer, clientId, clientSecret, redirectUri, afterSignOutUri, isCognito } = options
  const client: oauth.Client = { client_id: clientId }
  const request = () => ({
    signal: AbortSignal.timeout(requestMsMax),
    // The local issuer and emulators have no TLS.
    [oauth.allowInsecureRequests]: issuer.startsWith('http:'),
  })

  let metadata: { server: Promise<oauth.AuthorizationServer>; readAt: number } | undefined
  const discover = (): Promise<oauth.AuthorizationServer> => {
    if (metadata && performance.now() < metadata.readAt + metadataMsMax) return metadata.server
    const server = readMetadata()
    const current = { server, readAt: performance.now() }
    metadata = current
    server.catch(() => {
      if (metadata === current) metadata = undefined
    })
    return server
  }
  const readMetadata = () =>
    reach(async () => {
      const url = new URL(issuer)
      return oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, request()))
    })

  const authentication = ({
    token_endpoint_auth_methods_supported: supported,
  }: oauth.AuthorizationServer) => {
    if (clientSecret === undefined) return oauth.None()
    // OpenID Connect Discovery, section 3: Basic, unless the provider says otherwise.
    const isBasic = supported === undefined || supported.includes('client_secret_basic')
    return isBasic ? oauth.ClientSecretBasic(clientSecret) : oauth.ClientSecretPost(clientSecret)
  }

  return {
    signInUrl: async ({ state, nonce, codeVerifier }) => {
      const { authorization_endpoint: endpoint } = await discover()
      if (endpoint === undefined)
        throw unavailable('The sign-in page', new Error('the provider has no authorization endpoint'))
      return withParameters(endpoint, {
        client_id: clientId,
        redirect_uri: redirectUri,
        response_type: 'code',
        scope: 'openid',
        state,
        nonce,
        code_challenge: await oauth.calculatePKCECodeChallenge(codeVerifier),
        code_challenge_method: 'S256',
      })
    },
    redeem: async (parameters, { state, nonce, codeVerifier }) => {
      const server = await discover()
      try {
        const checked = oauth.validateAuthResponse(server, client, parameters, state)
        const response = await oauth.authorizationCodeGrantRequest(
          server,
          client,
          authentication(server),
          checked,
          redirectUri,
          codeVerifier,
          request(),
        )
        if (isTemporary(response)) throw unavailable('The sign-in provider', statusOf(response))
        return toTokens(
          await oauth.processAuthorizationCodeResponse(server, client, response, {
            expectedNonce: nonce,
            requireIdToken: true,
          }),
        )
      } catch (error) {
        if (!isRejection(error)) throw toUnavailable(error)
        const isDenied = error instanceof oauth.AuthorizationResponseError && error.error === 'access_denied'
        throw new RejectedSignIn(error, { isDenied })
      }
    },
    refresh: async (refreshToken) => {
      const server = await discover()
      try {
        const response = await oauth.refreshTokenGrantRequest(
          server,
          client,
          authentication(server),
          refreshToken,
          request(),
        )
        if (isTemporary(response)) throw unavailable('The sign-in provider', statusOf(response))
        const tokens = toTokens(await oauth.processRefreshTokenResponse(server, client, response))
        // RFC 6749, section 6: without a new refresh token the present one stays valid.
        return { ...tokens, refreshToken: tokens.refreshToken ?? refreshToken }
      } catch (error) {
        if (isRejection(error)) return undefined
        throw toUnavailable(error)
      }
    },
    revoke: async (refreshToken) => {
      const server = await discover()
      if (server.revocation_endpoint === undefined) return
      await reach(async () =>
        oauth.processRevocationResponse(
          await oauth.revocationRequest(server, client, authentication(server), refreshToken, request()),
        ),
      )
    },
    signOutUrl: async () => {
      const { end_session_endpoint: endpoint } = await discover()
      if (endpoint === undefined) return undefined
      // Without `id_token_hint`, which would bring a token to the browser. The provider may ask the person to confirm.
      return withParameters(endpoint, {
        client_id: clientId,
        [isCognito ? 'logout_uri' : 'post_logout_redirect_uri']: afterSignOutUri,
      })
    },
  }
}

function toTokens(response: oauth.TokenEndpointResponse): ProviderTokens {
  const { access_token: accessToken, refresh_token: refreshToken, expires_in: lifetimeSeconds } = response
  return { accessToken, refreshToken, lifetimeSeconds: lifetimeSeconds ?? lifetimeOf(accessToken) }
}

/** The seconds left of a token whose response does not contain them; 0 if the token does not say it either. */
function lifetimeOf(accessToken: string): number {
  try {
    return Math.max(0, (decodeJwt(accessToken).exp ?? 0) - Date.now() / 1_000)
  } catch {
    return 0
  }
}

function withParameters(address: string, parameters: Record<string, string>): string {
  const url = new URL(address)
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  return url.href
}

/** An answer of the provider, or a failed check of one. Anything else means that it could not be reached. */
function isRejection(error: unknown): boolean {
  return (
    error instanceof oauth.ResponseBodyError ||
    error instanceof oauth.AuthorizationResponseError ||
    error instanceof oauth.WWWAuthenticateChallengeError ||
    error instanceof oauth.OperationProcessingError
  )
}

function isTemporary({ status }: Response): boolean {
  return status >= 500 || status === 429
}

function statusOf({ status }: Response): Error {
  return new Error(`status ${status}`)
}

async function reach<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw toUnavailable(error)
  }
}

function toUnavailable(error: unknown): Error {
  return error instanceof ServiceError ? error : unavailable('The sign-in provider', error)
}
