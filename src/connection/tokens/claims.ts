// What a token must say to be taken, and what is read from it: the same whether this program has checked
// its signature or API Gateway has.
import type { Settings } from '../../platform/settings.ts'

/** What a valid token says. */
export type Claims = {
  username: string | undefined
  /** The machine client that the token was issued to; undefined for a person's token. */
  client: string | undefined
  groups: string[]
  /**
   * What a machine client was granted; empty for a person's token: whom an app asked for `users/write` is
   * no administrator by it.
   */
  scopes: string[]
  /** When the person has signed in, in milliseconds; undefined for a token that does not say. */
  signedInAtMs: number | undefined
  /** Until when the token counts, in milliseconds, clocks allowed for; undefined for a token that does not say. */
  expiresAtMs: number | undefined
}

export type TokenRules = {
  issuer: string
  jwksUri: string
  /** The client ids (or audiences) whose tokens are taken. */
  audience: string[]
  /** Cognito marks what a token is for; another OpenID provider may not. */
  tokenUse: 'required' | 'optional'
}

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

/**
 * How far the issuer's clock and ours may be apart: `exp` counts so much longer, `nbf`, `iat` and `auth_time` may lie
 * so far ahead. Small, since a token from before a block counts as newer than it by as much as its issuer is ahead.
 */
export const clockLeewaySeconds = 10

/** @returns undefined when the token is another issuer's, not for us, or from the future */
export function acceptClaims(payload: Record<string, unknown>, rules: TokenRules): Claims | undefined {
  const isTaken =
    payload.iss === rules.issuer &&
    !isAhead(payload.iat) &&
    !isAhead(payload.auth_time) &&
    isUseful(payload.token_use, rules.tokenUse) &&
    isForUs(payload, rules.audience)
  return isTaken ? readClaims(payload) : undefined
}

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
  const expiresAtMs = readInstant(payload.exp)
  // RFC 9068, section 2.2: where no person is involved, the subject is the client.
  const isMachine = username === undefined && payload.sub !== undefined && payload.sub === payload.client_id
  return {
    username: typeof username === 'string' && username !== '' ? username : undefined,
    client: isMachine ? String(payload.sub) : undefined,
    groups: Array.isArray(groups) ? groups.filter((group) => typeof group === 'string') : [],
    // A refreshed token is as old as the sign-in that it goes back to.
    signedInAtMs: readInstant(payload.auth_time ?? payload.iat),
    expiresAtMs: expiresAtMs && expiresAtMs + clockLeewaySeconds * 1_000,
    scopes: isMachine && typeof payload.scope === 'string' ? payload.scope.split(' ') : [],
  }
}

function isAhead(claim: unknown): boolean {
  const ms = readInstant(claim)
  return ms !== undefined && ms > Date.now() + clockLeewaySeconds * 1_000
}

/** RFC 7519 has seconds; API Gateway hands them on as text, and `iat` as a date. */
function readInstant(claim: unknown): number | undefined {
  const ms =
    typeof claim === 'number' || (typeof claim === 'string' && /^[\d.eE+]+$/.test(claim))
      ? Number(claim) * 1_000
      : Date.parse(String(claim))
  return Number.isFinite(ms) ? ms : undefined
}
