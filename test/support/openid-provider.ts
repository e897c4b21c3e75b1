// An OpenID provider for tests: it signs the person in without asking, rotates refresh tokens, and notices their reuse.
import { createHash, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { TokenRules } from '../../src/model/claims.ts'
import { atEnd } from './cleanup.ts'
import { startIssuer } from './issuer.ts'

export const consoleClient = { clientId: 'console:client', clientSecret: 's e=c&r:t' }

type Grant = { challenge: string; nonce: string; redirectUri: string }

export type TestProvider = {
  rules: TokenRules
  /** The claims of the person who signs in next. */
  person: { username: string; 'cognito:groups'?: string[] }
  /** Claims that replace those of the next ID tokens. */
  idClaims: Record<string, unknown>
  /** Claims that replace those of the next access tokens. */
  accessClaims: Record<string, unknown>
  /** How the token endpoint answers refreshes. */
  refreshes: 'normal' | 'refused' | 'failing'
  /** The number of refreshes so far, and of second uses of a refresh token. */
  counts: { refreshed: number; reused: number }
  revoked: string[]
  /** The query of the last sign-in page. */
  lastRequest: URLSearchParams
}

export async function startProvider(): Promise<TestProvider> {
  const issuer = await startIssuer()
  atEnd(issuer.close)
  const grants = new Map<string, Grant>()
  const refreshTokens = new Set<string>()
  const server = createServer((request, response) => {
    void answer(request).then(
      ({ status = 200, headers = {}, body }) => {
        response.writeHead(status, { 'Content-Type': 'application/json', ...headers })
        response.end(JSON.stringify(body))
      },
      () => response.destroy(),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atEnd(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  )
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const provider: TestProvider = {
    rules: { ...issuer.rules, issuer: url, audience: [consoleClient.clientId] },
    person: { username: 'person' },
    idClaims: {},
    accessClaims: {},
    refreshes: 'normal',
    counts: { refreshed: 0, reused: 0 },
    revoked: [],
    lastRequest: new URLSearchParams(),
  }

  const tokens = async (nonce?: string) => {
    const common = { iss: url, auth_time: Math.floor(Date.now() / 1_000), sub: provider.person.username }
    const refreshToken = randomUUID()
    refreshTokens.add(refreshToken)
    return {
      access_token: await issuer.token({
        ...common,
        ...provider.person,
        client_id: consoleClient.clientId,
        ...provider.accessClaims,
      }),
      ...(nonce !== undefined && {
        id_token: await issuer.token({
          ...common,
          token_use: 'id',
          aud: consoleClient.clientId,
          client_id: undefined,
          nonce,
          ...provider.idClaims,
        }),
      }),
      refresh_token: refreshToken,
      token_type: 'Bearer',
      expires_in: 3_600,
    }
  }

  type Answer = { status?: number; headers?: Record<string, string>; body?: object }
  const invalidGrant: Answer = { status: 400, body: { error: 'invalid_grant' } }

  const redeem = async (form: URLSearchParams): Promise<Answer> => {
    const grant = grants.get(form.get('code') ?? '')
    grants.delete(form.get('code') ?? '')
    const challenge = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url')
    return grant?.challenge === challenge && grant.redirectUri === form.get('redirect_uri')
      ? { body: await tokens(grant.nonce) }
      : invalidGrant
  }
  const refresh = async (form: URLSearchParams): Promise<Answer> => {
    if (provider.refreshes === 'failing') return { status: 503, body: {} }
    const isKnown = refreshTokens.delete(form.get('refresh_token') ?? '')
    if (!isKnown) provider.counts.reused++
    if (!isKnown || provider.refreshes === 'refused') return invalidGrant
    provider.counts.refreshed++
    return { body: await tokens() }
  }

  const answer = async (request: IncomingMessage): Promise<Answer> => {
    const { pathname, searchParams } = new URL(request.url ?? '', url)
    const form = new URLSearchParams(await text(request))
    const { clientId, clientSecret } = consoleClient
    const encoded = [clientId, clientSecret].map((part) => new URLSearchParams({ part }).toString().slice(5))
    const isClient = request.headers.authorization === `Basic ${btoa(encoded.join(':'))}`
    switch (pathname) {
      case '/.well-known/openid-configuration':
        return {
          body: {
            issuer: url,
            authorization_endpoint: `${url}/authorize`,
            token_endpoint: `${url}/token`,
            revocation_endpoint: `${url}/revoke`,
            end_session_endpoint: `${url}/logout?kept=1`,
          },
        }
      case '/authorize': {
        provider.lastRequest = searchParams
        const value = (name: string) => searchParams.get(name) ?? ''
        const code = randomUUID()
        grants.set(code, {
          challenge: value('code_challenge'),
          nonce: value('nonce'),
          redirectUri: value('redirect_uri'),
        })
        const back = new URLSearchParams({ code, state: value('state') })
        return { status: 302, headers: { Location: `${value('redirect_uri')}?${back}` } }
      }
      case '/token':
        if (!isClient) return { status: 401, body: { error: 'invalid_client' } }
        return form.get('grant_type') === 'refresh_token' ? refresh(form) : redeem(form)
      case '/revoke':
        if (isClient) provider.revoked.push(form.get('token') ?? '')
        return { status: isClient ? 200 : 401 }
      default:
        return { status: 404, body: {} }
    }
  }
  return provider
}
