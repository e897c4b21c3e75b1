// A token issuer for tests: its own key pair, a JWKS over HTTP, tokens of Cognito's shape, good and bad.
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose'
import type { TokenRules } from '../../src/connection/token-verifier.ts'

const clientId = 'test-client'

export type Issuer = {
  rules: TokenRules
  publicJwk: JWK
  /** A valid access token; `claims` and `header` replace its parts, undefined removes one. */
  token(claims?: JWTPayload, header?: { kid?: string }): Promise<string>
  fetches(): number
  close(): Promise<void>
}

export async function startIssuer(): Promise<Issuer> {
  const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true })
  const kid = randomUUID()
  const publicJwk = { ...(await exportJWK(publicKey)), kid, alg: 'RS256', use: 'sig' }
  let fetches = 0
  const server = createServer((_request, response) => {
    fetches++
    response.setHeader('Content-Type', 'application/json')
    response.end(JSON.stringify({ keys: [publicJwk] }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const issuer = `http://127.0.0.1:${port}/pool`
  return {
    rules: { issuer, jwksUri: `${issuer}/.well-known/jwks.json`, audience: [clientId], tokenUse: 'required' },
    publicJwk,
    fetches: () => fetches,
    token: (claims = {}, header = {}) => {
      const now = Math.floor(Date.now() / 1000)
      return new SignJWT({
        iss: issuer,
        sub: randomUUID(),
        token_use: 'access',
        client_id: clientId,
        iat: now,
        exp: now + 3_600,
        jti: randomUUID(),
        ...claims,
      })
        .setProtectedHeader({ alg: 'RS256', kid, ...header })
        .sign(privateKey)
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
