// The token issuer for development: RS256 tokens in Cognito's format, signed with a key of this checkout, so that
// a laptop runs the same verification as production. The settings reject it in production.
import { randomUUID } from 'node:crypto'
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWK,
  type JWTPayload,
  SignJWT,
} from 'jose'
import type { TokenRules } from '../../model/claims.ts'

/** The client of tools that send a password, and of `npm run token`. */
export const localClientId = 'local'
/** The client of the command line, which signs people in with a browser. */
export const commandLineClientId = 'user-directory-cli'
/** The client of the console. */
export const consoleClientId = 'user-directory-console'

/** A person's sign-in, for the tokens that follow from it. */
type SignIn = {
  clientId: string
  subject: string
  username: string
  groups: string[]
  signedInAtSeconds: number
}

export type LocalIssuer = {
  rules: TokenRules
  /** The response of `/.well-known/jwks.json`. */
  jwks: { keys: JWK[] }
  /**
   * Issues an access token in Cognito's format. With `scope` and no username, it is a machine client's.
   * @param options.lifetimeSeconds a day by default
   */
  token(options: {
    username?: string
    groups?: string[]
    scope?: string
    lifetimeSeconds?: number
  }): Promise<string>
  /** Issues the access token and, for the scope `openid`, the ID token of a sign-in, in Cognito's format. */
  signInTokens(
    signIn: SignIn,
    options: { scope: string; nonce: string | undefined; lifetimeSeconds: number },
  ): Promise<{ accessToken: string; idToken: string | undefined }>
}

/** The path under which the Node server serves the issuer's endpoints. */
export const localIssuerPath = '/local-issuer'

export async function openLocalIssuer(directory: string, port: number): Promise<LocalIssuer> {
  const privateJwk = await loadKey(directory)
  const { kty, n, e, kid } = privateJwk
  const key = await importJWK(privateJwk, 'RS256')
  const issuer = `http://localhost:${port}${localIssuerPath}`
  const sign = (claims: JWTPayload, lifetimeSeconds: number) =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: 'RS256', kid: kid ?? '' })
      .setIssuer(issuer)
      .setJti(randomUUID())
      .setIssuedAt()
      .setExpirationTime(Math.floor(Date.now() / 1000) + lifetimeSeconds)
      .sign(key)
  return {
    rules: {
      issuer,
      jwksUri: `http://127.0.0.1:${port}${localIssuerPath}/.well-known/jwks.json`,
      audience: [localClientId, commandLineClientId, consoleClientId],
      tokenUse: 'required',
    },
    jwks: { keys: [{ kty, n, e, kid, alg: 'RS256', use: 'sig' } as JWK] },
    token: ({ username, groups, scope, lifetimeSeconds = 86_400 }) => {
      const claims = {
        sub: username === undefined ? localClientId : randomUUID(),
        token_use: 'access',
        client_id: localClientId,
        ...(username !== undefined && { username }),
        ...(groups !== undefined && { 'cognito:groups': groups }),
        ...(scope !== undefined && { scope }),
      }
      return sign(claims, lifetimeSeconds)
    },
    signInTokens: async (signIn, { scope, nonce, lifetimeSeconds }) => {
      const { clientId, subject, username, groups, signedInAtSeconds } = signIn
      const common = {
        sub: subject,
        auth_time: signedInAtSeconds,
        ...(groups.length > 0 && { 'cognito:groups': groups }),
      }
      const access = { ...common, token_use: 'access', client_id: clientId, username, scope }
      const id = {
        ...common,
        token_use: 'id',
        aud: clientId,
        'cognito:username': username,
        ...(nonce !== undefined && { nonce }),
      }
      const accessToken = await sign(access, lifetimeSeconds)
      const idToken = scope.split(' ').includes('openid') ? await sign(id, lifetimeSeconds) : undefined
      return { accessToken, idToken }
    },
  }
}

async function loadKey(directory: string): Promise<JWK> {
  const path = join(directory, 'local-issuer-key.json')
  const read = () => readFile(path, 'utf8').then((text) => JSON.parse(text) as JWK)
  try {
    return await read()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  const { privateKey } = await generateKeyPair('RS256', { extractable: true })
  const jwk = await exportJWK(privateKey)
  const kid = await calculateJwkThumbprint(jwk)
  await mkdir(directory, { recursive: true })
  // `link` fails if the file exists, so that of two processes that start at once, the second uses the first one's key.
  const draft = `${path}.${randomUUID()}`
  await writeFile(draft, JSON.stringify({ ...jwk, kid }), { mode: 0o600 })
  await link(draft, path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  await rm(draft)
  return read()
}
