// Who a caller is: checks a JWT (RS256) against the issuer's published keys.
import { JwtVerifier } from 'aws-jwt-verify'
import { FetchError, JwksValidationError, JwtBaseError } from 'aws-jwt-verify/error'
import { SimpleJwksCache } from 'aws-jwt-verify/jwk'
import { LRUCache } from 'lru-cache'
import { unavailable } from '../../model/errors.ts'
import { acceptClaims, type Claims, clockLeewaySeconds, type TokenRules } from './claims.ts'

export type TokenVerifier = {
  /**
   * @returns undefined for a token that is not valid, whatever the reason
   * @throws ServiceError `unavailable` when the issuer's keys cannot be had
   */
  verify(token: string): Promise<Claims | undefined>
  /** @returns undefined unless the token has been verified lately */
  known(token: string): Claims | undefined
}

const fetchMsMax = 1_500
// How long a key counts after the issuer has withdrawn it. A new one is fetched when a token names it.
const keysMsMax = 3_600_000
// About 1.5 KB each. A token costs 61 µs to check and next to nothing to look up.
const tokensMax = 10_000
// 256 bits, in base64url.
const keyLength = 43

// RFC 6750, section 2.1.
const tokenForm = /^[A-Za-z0-9._~+/-]+=*$/

export function openTokenVerifier(rules: TokenRules): TokenVerifier {
  const verifier = JwtVerifier.create(
    {
      issuer: rules.issuer,
      jwksUri: rules.jwksUri,
      // Cognito's access tokens carry `client_id` in the place of `aud`: both are looked at by acceptClaims.
      audience: null,
      graceSeconds: clockLeewaySeconds,
      customJwtCheck: ({ header, payload }) => {
        if (!isKnownKind(header)) throw new RefusedClaim('header')
        if (typeof payload.exp !== 'number') throw new RefusedClaim('exp')
      },
    },
    { jwksCache: new SimpleJwksCache({ fetcher: { fetch: fetchWithin } }) },
  )
  const seen = new LRUCache<string, { token: string; claims: Claims }>({
    max: tokensMax,
    ttlAutopurge: false,
  })

  let refreshAt = performance.now() + keysMsMax
  const refreshKeys = (): void => {
    refreshAt = performance.now() + keysMsMax
    // Until they are had the old ones go on: a token is not refused because its issuer cannot be reached.
    verifier.hydrate().then(
      () => seen.clear(),
      () => {},
    )
  }

  /** Found by the signature's end, which is quicker than by all of it, and then compared as a whole. */
  const knownAs = (key: string, token: string): Claims | undefined => {
    const known = seen.get(key)
    return known?.token === token ? known.claims : undefined
  }

  return {
    known: (token) => knownAs(token.slice(-keyLength), token),
    verify: async (token) => {
      if (performance.now() > refreshAt) refreshKeys()
      const key = token.slice(-keyLength)
      const known = knownAs(key, token)
      if (known) return known
      if (!tokenForm.test(token)) return undefined
      try {
        const payload = await verifier.verify(token)
        const claims = acceptClaims(payload, rules)
        if (!claims) return undefined
        const leftMs = Math.floor(((payload.exp ?? 0) + clockLeewaySeconds) * 1_000 - Date.now())
        if (leftMs > 0) seen.set(key, { token, claims }, { ttl: leftMs })
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

// RFC 8725, section 3.11, and RFC 9068: issuers sign other things too, such as logout tokens and security events.
const types = new Set(['jwt', 'at+jwt'])

/**
 * RFC 7515, section 4.1.11: a `crit` that names anything we do not know, which is all, or that is malformed makes the
 * token invalid. RFC 7797, section 7: a JWT's payload is always base64.
 */
function isKnownKind({ alg, crit, b64, typ }: Record<string, unknown>): boolean {
  const isKnownType =
    typ === undefined ||
    (typeof typ === 'string' && types.has(typ.toLowerCase().replace(/^application\//, '')))
  return alg === 'RS256' && crit === undefined && (b64 === undefined || b64 === true) && isKnownType
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
