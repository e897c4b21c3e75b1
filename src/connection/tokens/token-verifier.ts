// Checks the signature of a JWT (RS256) against its issuer's published keys.
import { JwtVerifier } from 'aws-jwt-verify'
import { FetchError, JwksValidationError, JwtBaseError } from 'aws-jwt-verify/error'
import { SimpleJwksCache } from 'aws-jwt-verify/jwk'
import { LRUCache } from 'lru-cache'
import type { Claims, TokenPolicy } from '../../model/claims.ts'
import { unavailable } from '../../model/errors.ts'
import { fetchJwks } from './fetch-jwks.ts'

export type TokenVerifier = {
  /**
   * @returns undefined for an invalid token, whatever the reason
   * @throws ServiceError `unavailable` if the issuer's keys cannot be fetched
   */
  verify(token: string): Promise<Claims | undefined>
  /** @returns the claims of a token that was verified recently; undefined for any other */
  cached(token: string): Claims | undefined
}

// A key withdrawn by the issuer is accepted for this long. A new key is fetched as soon as a token names it.
const keysMsMax = 3_600_000
// About 1.5 KB each. Verifying a token takes 61 µs; a look-up takes next to nothing.
const tokensMax = 10_000
// 256 bits in base64url.
const cacheKeyLength = 43

// RFC 6750, section 2.1.
const bearerTokenPattern = /^[A-Za-z0-9._~+/-]+=*$/

/** @param readKeys reads the JWKS at an address, for networks without a route to the issuer */
export function openTokenVerifier(
  { rules, clockLeewaySeconds, accept }: TokenPolicy,
  readKeys: (uri: string) => Promise<string> = fetchJwks,
): TokenVerifier {
  const verifier = JwtVerifier.create(
    {
      issuer: rules.issuer,
      jwksUri: rules.jwksUri,
      // The policy checks the audience, because Cognito's access tokens have `client_id` instead of `aud`.
      audience: null,
      graceSeconds: clockLeewaySeconds,
      customJwtCheck: ({ header, payload }) => {
        if (!isAcceptedHeader(header)) throw new RejectedToken('header')
        if (typeof payload.exp !== 'number') throw new RejectedToken('exp')
      },
    },
    { jwksCache: new SimpleJwksCache({ fetcher: { fetch: (uri) => fetchKeys(uri, readKeys) } }) },
  )
  const verified = new LRUCache<string, { token: string; claims: Claims }>({
    max: tokensMax,
    ttlAutopurge: false,
  })

  let refreshAt = performance.now() + keysMsMax
  const refreshKeys = (): void => {
    refreshAt = performance.now() + keysMsMax
    // The old keys remain in use until then, so that an outage of the issuer rejects no tokens.
    verifier.hydrate().then(
      () => verified.clear(),
      () => {},
    )
  }

  /** Looks up the end of the signature, which is faster than the whole token, and then compares the whole token. */
  const cachedUnder = (key: string, token: string): Claims | undefined => {
    const found = verified.get(key)
    return found?.token === token ? found.claims : undefined
  }

  return {
    cached: (token) => cachedUnder(token.slice(-cacheKeyLength), token),
    verify: async (token) => {
      if (performance.now() > refreshAt) refreshKeys()
      const key = token.slice(-cacheKeyLength)
      const found = cachedUnder(key, token)
      if (found) return found
      if (!bearerTokenPattern.test(token)) return undefined
      try {
        const payload = await verifier.verify(token)
        const claims = accept(payload)
        if (!claims) return undefined
        const ttlMs = Math.floor(((payload.exp ?? 0) + clockLeewaySeconds) * 1_000 - Date.now())
        if (ttlMs > 0) verified.set(key, { token, claims }, { ttl: ttlMs })
        return claims
      } catch (error) {
        if (error instanceof FetchError || error instanceof JwksValidationError)
          throw unavailable("The token issuer's keys", error)
        if (error instanceof JwtBaseError || error instanceof RejectedToken) return undefined
        throw error
      }
    },
  }
}

class RejectedToken extends Error {}

// RFC 8725, section 3.11, and RFC 9068. Issuers also sign other tokens, such as logout tokens and security events.
const types = new Set(['jwt', 'at+jwt'])

/**
 * RFC 7515, section 4.1.11: a token with an unknown `crit` extension is invalid, and no extension is known here.
 * RFC 7797, section 7: the payload of a JWT is always base64url.
 */
function isAcceptedHeader({ alg, crit, b64, typ }: Record<string, unknown>): boolean {
  const isAcceptedType =
    typ === undefined ||
    (typeof typ === 'string' && types.has(typ.toLowerCase().replace(/^application\//, '')))
  return alg === 'RS256' && crit === undefined && (b64 === undefined || b64 === true) && isAcceptedType
}

async function fetchKeys(uri: string, readKeys: (uri: string) => Promise<string>): Promise<ArrayBuffer> {
  try {
    return new TextEncoder().encode(await readKeys(uri)).buffer
  } catch (error) {
    throw new FetchError(uri, error)
  }
}
