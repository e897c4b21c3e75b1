// A token issuer for tests, with a JWKS over HTTP. It issues valid and invalid tokens like Cognito's.
import { KeyObject, randomUUID, sign } from 'node:crypto'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, importJWK, type JWK, type JWTHeaderParameters, SignJWT } from 'jose'
import type { TokenRules } from '../../src/model/claims.ts'

export const clientId = 'test-client'

export type Issuer = {
  rules: TokenRules
  publicJwk: JWK
  /** Issues an access token. `claims` and `header` replace parts; undefined removes one. */
  token(claims?: Record<string, unknown>, header?: Partial<JWTHeaderParameters>): Promise<string>
  /** Signs a token with a header that libraries reject: `header` is added to `alg` and `kid`. */
  rawToken(claims: Record<string, unknown>, header: Record<string, unknown>): Promise<string>
  /** Issues a machine client's token. */
  machineToken(scope: string): Promise<string>
  /** The content of the JWKS, which a test may change. */
  keys: JWK[]
  /** If set, answers requests for the JWKS. */
  answer: ((response: ServerResponse) => void) | undefined
  fetches(): number
  close(): Promise<void>
}

/** The settings of a server that accepts the issuer's tokens. */
export function tokenSettings({ issuer, jwksUri, audience }: TokenRules): Record<string, string> {
  return { JWT_ISSUER: issuer, JWT_JWKS_URI: jwksUri, JWT_AUDIENCE: audience.join() }
}

const makeKeys = () => generateKeyPair('RS256', { extractable: true })

// Creating a key pair is slow.
let keysOfProcess: ReturnType<typeof makeKeys> | undefined

function sharedKeys() {
  keysOfProcess ??= makeKeys()
  return keysOfProcess
}

/** @param options.hasOwnKeys instead of the key pair that issuers of this process share */
export async function startIssuer({ hasOwnKeys = false } = {}): Promise<Issuer> {
  const { publicKey, privateKey } = await (hasOwnKeys ? makeKeys() : sharedKeys())
  const kid = randomUUID()
  const publicJwk = { ...(await exportJWK(publicKey)), kid, alg: 'RS256', use: 'sig' }
  const privateJwk = await exportJWK(privateKey)
  let fetches = 0
  const server = createServer((_request, response) => {
    fetches++
    if (issuer.answer) return issuer.answer(response)
    response.setHeader('Content-Type', 'application/json')
    response.end(JSON.stringify({ keys: issuer.keys }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}/pool`
  const issuer: Issuer = {
    rules: {
      issuer: url,
      jwksUri: `${url}/.well-known/jwks.json`,
      audience: [clientId],
      tokenUse: 'required',
    },
    publicJwk,
    keys: [publicJwk],
    answer: undefined,
    fetches: () => fetches,
    token: async (claims = {}, header = {}) => {
      const now = Math.floor(Date.now() / 1000)
      const alg = header.alg ?? 'RS256'
      return new SignJWT({
        iss: url,
        sub: randomUUID(),
        token_use: 'access',
        client_id: clientId,
        iat: now,
        exp: now + 3_600,
        jti: randomUUID(),
        ...claims,
      })
        .setProtectedHeader({ kid, ...header, alg })
        .sign(alg === 'RS256' ? privateKey : await importJWK(privateJwk, alg))
    },
    rawToken: async (claims, header) => {
      const [, payload] = (await issuer.token(claims)).split('.')
      const json = JSON.stringify({ alg: 'RS256', kid, ...header })
      const input = `${Buffer.from(json).toString('base64url')}.${payload}`
      const signature = sign('sha256', Buffer.from(input), KeyObject.from(privateKey))
      return `${input}.${signature.toString('base64url')}`
    },
    machineToken: (scope) => issuer.token({ sub: clientId, scope }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return issuer
}
