// The console at an OpenID provider of the settings, behind a proxy with TLS.
import { expect, it } from 'vitest'
import type { Problem } from '../../../../src/model/problem.ts'
import { consoleOrigin, startConsoleServer } from '../../../support/console-server.ts'
import { consoleClient, startProvider } from '../../../support/openid-provider.ts'
import { startService, uniqueName } from '../../../support/service.ts'

const service = await startService()

async function setUp(options: { isCognito?: boolean; client?: typeof consoleClient | null } = {}) {
  const provider = await startProvider()
  provider.person = { username: uniqueName('admin'), 'cognito:groups': ['admins'] }
  const server = await startConsoleServer(service, provider, options)
  return { provider, server, browser: server.browser() }
}

it('the sign-in page gets the code flow with PKCE, state and nonce', async () => {
  const { provider, browser } = await setUp()
  expect((await browser.signIn()).status).toBe(302)
  const { state, nonce, code_challenge, ...rest } = Object.fromEntries(provider.lastRequest)
  expect(rest).toEqual({
    client_id: consoleClient.clientId,
    redirect_uri: `${consoleOrigin}/console/callback`,
    response_type: 'code',
    scope: 'openid',
    code_challenge_method: 'S256',
  })
  const secrets = [state, nonce, code_challenge]
  for (const secret of secrets) expect(secret).toMatch(/^[\w-]{43}$/)
  await browser.signIn()
  const { state: nextState, nonce: nextNonce } = Object.fromEntries(provider.lastRequest)
  expect(new Set([...secrets, nextState, nextNonce]).size).toBe(5)
})

it('the cookies have the prefix __Host-, and no script can read them', async () => {
  const { browser } = await setUp()
  const { headers } = await browser.open('/console/sign-in')
  expect(headers.getSetCookie()).toEqual([
    expect.stringMatching(
      /^__Host-directory-console-sign-in=[^;]+; Path=\/; Secure; HttpOnly; SameSite=Lax; Max-Age=600$/,
    ),
  ])
  const end = await browser.signIn()
  expect(end.headers.getSetCookie()).toEqual([
    expect.stringMatching(/^__Host-directory-console=[\w-]{43}; Path=\/; Secure; HttpOnly; SameSite=Strict$/),
    '__Host-directory-console-sign-in=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0',
  ])
  const out = await browser.send('/console/sign-out', { method: 'POST' })
  expect(out.headers.getSetCookie()).toEqual([
    '__Host-directory-console=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0',
  ])
})

it.each<[string, Record<string, unknown>]>([
  ['another nonce', { nonce: 'x'.repeat(43) }],
  ['no nonce', { nonce: undefined }],
  ['another audience', { aud: 'another client' }],
  ['another issuer', { iss: 'https://evil.example' }],
  ['an expiry in the past', { exp: 1 }],
])('an ID token with %s is rejected', async (_name, idClaims) => {
  const { provider, browser } = await setUp()
  provider.idClaims = idClaims
  expect((await browser.signIn()).status).toBe(400)
  expect(browser.cookies.size).toBe(0)
})

it('a code is redeemed with the verifier of this browser alone', async () => {
  const { server, browser } = await setUp()
  const start = await browser.open('/console/sign-in')
  const { location = '' } = await browser.open(start.location ?? '')
  // The code of another sign-in, with the state of this one: an injected code.
  const attacker = server.browser()
  const theirs = await attacker.open((await attacker.open('/console/sign-in')).location ?? '')
  const injected = new URL(location)
  injected.searchParams.set('code', new URL(theirs.location ?? '').searchParams.get('code') ?? '')
  expect((await browser.open(injected.href)).status).toBe(400)
})

it('an access token that the API does not accept gives no session, and the log says why', async () => {
  const { provider, browser } = await setUp()
  provider.accessClaims = { client_id: 'another client' }
  const page = await browser.signIn()
  expect([page.status, page.text]).toEqual([
    400,
    expect.stringContaining('does not accept the tokens of the sign-in provider'),
  ])
  expect(
    service.log.some(({ level, message }) => level === 'error' && message.includes('access token')),
  ).toBe(true)
})

it('a wrong secret gives no session', async () => {
  const { browser } = await setUp({ client: { ...consoleClient, clientSecret: 'wrong' } })
  expect((await browser.signIn()).status).toBe(400)
  expect(JSON.stringify(service.log)).not.toContain(consoleClient.clientSecret)
})

it('an unreachable provider is a 503, and the next sign-in works', async () => {
  const { provider, server } = await setUp()
  const unreachable = { ...provider, rules: { ...provider.rules, issuer: 'http://127.0.0.1:1' } }
  const other = (await startConsoleServer(service, unreachable)).browser()
  const { status, headers, text } = await other.open('/console/sign-in')
  expect([status, headers.get('retry-after')]).toEqual([503, '1'])
  expect((JSON.parse(text) as Problem).detail).toContain('sign-in provider')
  expect((await server.browser().signIn()).status).toBe(302)
})

it('a sign-out revokes the refresh token and leads to the page of the provider', async () => {
  const { provider, browser } = await setUp()
  await browser.signIn()
  const { text } = await browser.send('/console/sign-out', { method: 'POST' })
  const url = new URL(JSON.parse(text).sign_out_url)
  expect([url.origin + url.pathname, Object.fromEntries(url.searchParams)]).toEqual([
    `${provider.rules.issuer}/logout`,
    {
      kept: '1',
      client_id: consoleClient.clientId,
      post_logout_redirect_uri: `${consoleOrigin}/console/`,
    },
  ])
  expect(provider.revoked).toEqual([expect.any(String)])
})

it("a sign-out from Cognito has its page's own parameters", async () => {
  const { browser } = await setUp({ isCognito: true })
  await browser.signIn()
  const { text } = await browser.send('/console/sign-out', { method: 'POST' })
  const { searchParams } = new URL(JSON.parse(text).sign_out_url)
  expect(Object.fromEntries(searchParams)).toMatchObject({ logout_uri: `${consoleOrigin}/console/` })
})

it('a console without a client answers which settings are missing', async () => {
  const { browser } = await setUp({ client: null })
  for (const path of ['/console/', '/console', '/console/session', '/console/api/user']) {
    const { status, text } = await browser.send(path)
    expect([path, status, (JSON.parse(text) as Problem).detail]).toEqual([
      path,
      404,
      expect.stringContaining('CONSOLE_CLIENT_ID and CONSOLE_URL'),
    ])
  }
})
