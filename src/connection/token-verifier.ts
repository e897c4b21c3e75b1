// Who a caller is: checks a JWT (RS256) against the issuer's published keys.
import { JwtVerifier } from 'aws-jwt-verify'
import { FetchError, JwksValidationError, JwtBaseError } from 'aws-jwt-verify/error'
import { SimpleJwksCache } from 'aws-jwt-verify/jwk'
import { LRUCache } from 'lru-cache'
import { unavailable } from '../model/errors.ts'

/** What a valid token says. */
export type Claims = {
  username: string | undefined
  groups: string[]
  /**
   * What a machine client was granted; empty for a person's token: whom an app asked for `users/write` is
   * no administrator by it.
   */
  scopes: string[]
}

export type TokenVerifier = {
  /**
   * @returns undefined for a token that is not valid, whatever the reason
   * @throws ServiceError `unavailable` when the issuer's keys cannot be had
   */
  verify(token: string): Promise<Claims | undefined>
}

export type TokenRules = {
  issuer: string
  jwksUri: string
  /** The client ids (or audiences) whose tokens are taken. */
  audience: string[]
  /** Cognito marks what a token is for; another OpenID provider may not. */
  tokenUse: 'required' | 'optional'
}

const fetchMsMax = 1_500
// How long a key counts after the issuer has withdrawn it. A new one is fetched when a token names it.
const keysMsMax = 3_600_000
// About 1.5 KB each. A token costs 61 µs to check and next to nothing to look up.
const tokensMax = 10_000

export function cognitoRules(userPoolId: string, clientIds: string[]): TokenRules {
  const region = userPoolId.slice(0, userPoolId.indexOf('_'))
  const issuer = `https://cognito-idp.${region}.amazonaws.com/${userPoolId}`
  return { issuer, jwksUri: `${issuer}/.well-known/jwks.json`, audience: clientIds, tokenUse: 'required' }
}

export function openTokenVerifier(rules: TokenRules): TokenVerifier {
  const verifier = JwtVerifier.create(
    {
      issuer: rules.issuer,
      jwksUri: rules.jwksUri,
      // Cognito's access tokens carry `client_id` in the place of `aud`: both are checked below.
      audience: null,
      customJwtCheck: ({ header, payload }) => {
        const wrong =
          header.alg !== 'RS256'
            ? 'alg'
            : typeof payload.exp !== 'number'
              ? 'exp'
              : !isUseful(payload.token_use, rules.tokenUse)
                ? 'token_use'
                : !isForUs(payload, rules.audience)
                  ? 'aud'
                  : undefined
        if (wrong) throw new RefusedClaim(wrong)
      },
    },
    { jwksCache: new SimpleJwksCache({ fetcher: { fetch: fetchWithin } }) },
  )
  const seen = new LRUCache<string, Claims>({ max: tokensMax, ttlAutopurge: false })

  let refreshAt = performance.now() + keysMsMax
  const refreshKeys = (): void => {
    refreshAt = performance.now() + keysMsMax
    // Until they are had the old ones go on: a token is not refused because its issuer cannot be reached.
    verifier.hydrate().then(
      () => seen.clear(),
      () => {},
    )
  }

  return {
    verify: async (token) => {
      if (performance.now() > refreshAt) refreshKeys()
      // The key is the whole token, signature included: a changed one is another.
      const known = seen.get(token)
      if (known) return known
      try {
        const payload = await verifier.verify(token)
        const claims = readClaims(payload)
        const leftMs = Math.floor((payload.exp ?? 0) * 1_000 - Date.now())
        if (leftMs > 0) seen.set(token, claims, { ttl: leftMs })
        return claims
      } catch (error) {
        if (error instanceof FetchError || error instanceof JwksValidationError)
          throw unavailable("The token issuer's keys", error)
        if (error instanceof JwtBaseError || error instanceof RefusedClaim) return undefined
        throw error
      }
    },
  }
}

class RefusedClaim extends Error {}

function isUseful(tokenUse: unknown, rule: TokenRules['tokenUse']): boolean {
  return tokenUse === 'access' || tokenUse === 'id' || (tokenUse === undefined && rule === 'optional')
}

function isForUs(payload: Record<string, unknown>, audience: string[]): boolean {
  const named =
    payload.token_use === 'access' ? (payload.client_id ?? payload.aud) : (payload.aud ?? payload.client_id)
  return (Array.isArray(named) ? named : [named]).some((name) => audience.includes(name as string))
}

/** Reads the claims that decide what a caller may do. */
function readClaims(payload: Record<string, unknown>): Claims {
  const username = payload.username ?? payload['cognito:username']
  const groups = payload['cognito:groups']
  // RFC 9068, section 2.2: where no person is involved, the subject is the client.
  const isMachine = username === undefined && payload.sub !== undefined && payload.sub === payload.client_id
  return {
    username: typeof username === 'string' && username !== '' ? username : undefined,
    groups: Array.isArray(groups) ? groups.filter((group) => typeof group === 'string') : [],
    scopes: isMachine && typeof payload.scope === 'string' ? payload.scope.split(' ') : [],
  }
}

// The library's own fetcher speaks https only; an emulator or the local issuer may not.
async function fetchWithin(uri: string): Promise<ArrayBuffer> {
  try {
    const response = await fetch(uri, { signal: AbortSignal.timeout(fetchMsMax), redirect: 'error' })
    if (!response.ok) throw new Error(`status ${response.status}`)
    return await response.arrayBuffer()
  } catch (error) {
    throw new FetchError(uri, error)
  }
}
