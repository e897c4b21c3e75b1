// Decides by its claims whether a token is accepted. The signature is checked elsewhere: by the token verifier, or by
// API Gateway.
import type { Claims, TokenPolicy, TokenRules } from '../../model/claims.ts'
import type { Settings } from '../../platform/settings.ts'

/** @throws Error for the local issuer, which has its own rules */
export function tokenRules(tokens: Settings['tokens']): TokenRules {
  if (tokens.kind === 'local') throw new Error('COGNITO_USER_POOL_ID (or JWT_ISSUER) is required')
  if (tokens.kind === 'issuer') return { ...tokens, tokenUse: 'optional' }
  const { userPoolId, clientIds } = tokens
  const region = userPoolId.slice(0, userPoolId.indexOf('_'))
  const issuer = tokens.issuer ?? `https://cognito-idp.${region}.amazonaws.com/${userPoolId}`
  const jwksUri = tokens.jwksUri ?? `${issuer}/.well-known/jwks.json`
  return { issuer, jwksUri, audience: clientIds, tokenUse: 'required' }
}

// Small, because a token issued before a block counts as newer than the block by as much as its issuer's clock is ahead.
const clockLeewaySeconds = 10

export function createTokenPolicy(rules: TokenRules): TokenPolicy {
  return {
    rules,
    clockLeewaySeconds,
    accept: (payload) => {
      const isAccepted =
        payload.iss === rules.issuer &&
        !isInFuture(payload.iat) &&
        !isInFuture(payload.auth_time) &&
        isAcceptedUse(payload.token_use, rules.tokenUse) &&
        isAcceptedAudience(payload, rules.audience)
      return isAccepted ? readClaims(payload) : undefined
    },
  }
}

function isAcceptedUse(tokenUse: unknown, rule: TokenRules['tokenUse']): boolean {
  return tokenUse === 'access' || tokenUse === 'id' || (tokenUse === undefined && rule === 'optional')
}

/** Cognito's access tokens have `client_id` instead of `aud`. */
function isAcceptedAudience(payload: Record<string, unknown>, audience: string[]): boolean {
  const named =
    payload.token_use === 'access' ? (payload.client_id ?? payload.aud) : (payload.aud ?? payload.client_id)
  return (Array.isArray(named) ? named : [named]).some((name) => audience.includes(name as string))
}

function readClaims(payload: Record<string, unknown>): Claims {
  const username = payload.username ?? payload['cognito:username']
  const groups = payload['cognito:groups']
  const expiresAtMs = readDate(payload.exp)
  // RFC 9068, section 2.2: without a person, the subject is the client.
  const isMachine = username === undefined && payload.sub !== undefined && payload.sub === payload.client_id
  return {
    username: typeof username === 'string' && username !== '' ? username : undefined,
    client: isMachine ? String(payload.sub) : undefined,
    groups: Array.isArray(groups) ? groups.filter((group) => typeof group === 'string') : [],
    // A refreshed token counts from its sign-in.
    signedInAtMs: readDate(payload.auth_time ?? payload.iat),
    expiresAtMs: expiresAtMs && expiresAtMs + clockLeewaySeconds * 1_000,
    scopes: isMachine && typeof payload.scope === 'string' ? payload.scope.split(' ') : [],
  }
}

function isInFuture(claim: unknown): boolean {
  const ms = readDate(claim)
  return ms !== undefined && ms > Date.now() + clockLeewaySeconds * 1_000
}

/** Reads seconds (RFC 7519), which API Gateway passes as text, and dates, as which it passes `iat`. */
function readDate(claim: unknown): number | undefined {
  const ms =
    typeof claim === 'number' || (typeof claim === 'string' && /^[\d.eE+]+$/.test(claim))
      ? Number(claim) * 1_000
      : Date.parse(String(claim))
  return Number.isFinite(ms) ? ms : undefined
}
