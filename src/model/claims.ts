// The claims of an access token, and the rules by which tokens are accepted.

export type Claims = {
  username: string | undefined
  /** The machine client that the token was issued to; undefined for a person's token. */
  client: string | undefined
  groups: string[]
  /** The scopes of a machine client. Empty for a person's token, which an app's scope must not make an administrator. */
  scopes: string[]
  /** When the person signed in, in epoch milliseconds; undefined if the token does not contain it. */
  signedInAtMs: number | undefined
  /** When the token expires, in epoch milliseconds, plus the clock leeway; undefined if it does not contain that. */
  expiresAtMs: number | undefined
}

export type TokenRules = {
  issuer: string
  jwksUri: string
  /** The accepted client ids (or audiences). */
  audience: string[]
  /** Cognito states the use of each token; other OpenID providers may not. */
  tokenUse: 'required' | 'optional'
}

export type TokenPolicy = {
  rules: TokenRules
  /** The accepted difference between the issuer's clock and ours. */
  clockLeewaySeconds: number
  /** @returns undefined for the claims of another issuer, another audience or use, or of the future */
  accept(payload: Record<string, unknown>): Claims | undefined
}
