// The local issuer's sign-in with a browser: authorization codes with PKCE, and refresh tokens.
import { createHash, randomBytes } from 'node:crypto'
import { decodeJwt } from 'jose'
import { expect, it } from 'vitest'
import { startLocalServer } from '../../support/local-issuer.ts'
import { startService, uniqueName } from '../../support/service.ts'

const service = await startService()
const url = await startLocalServer(service)
const issuer = `${url}/local-issuer`
const password = 'a-good-password'
const verifier = randomBytes(32).toString('base64url')
const request = {
  client_id: 'user-directory-cli',
  redirect_uri: 'http://127.0.0.1:43210/callback',
  response_type: 'code',
  scope: 'openid',
  state: 'a state: ü&=+',
  nonce: 'a-nonce',
  code_challenge: createHash('sha256').update(verifier).digest('base64url'),
  code_challenge_method: 'S256',
}

type Parameters = Record<string, string>

async function authorize(
  parameters: Parameters = {},
  { form, headers = {} }: { form?: Parameters; headers?: Parameters } = {},
) {
  const query = new URLSearchParams({ ...request, ...parameters })
  for (const [name, value] of [...query]) if (value === '') query.delete(name)
  const response = await fetch(`${issuer}/oauth2/authorize?${query}`, {
    ...(form && { method: 'POST', body: new URLSearchParams(form) }),
    headers,
    redirect: 'manual',
  })
  const location = response.headers.get('location')
  return {
    status: response.status,
    headers: response.headers,
    text: await response.text(),
    target: location === null ? undefined : new URL(location),
    returned: Object.fromEntries(location === null ? [] : new URL(location).searchParams),
  }
}

const signIn = async (username: string, given = password) =>
  authorize({}, { form: { action: 'sign-in', username, password: given } })

async function token(form: Parameters) {
  const response = await fetch(`${issuer}/oauth2/token`, { method: 'POST', body: new URLSearchParams(form) })
  return { status: response.status, body: (await response.json()) as Record<string, string> }
}

const redeem = (code = '', more: Parameters = {}) => {
  const { client_id, redirect_uri } = request
  return token({
    grant_type: 'authorization_code',
    code,
    client_id,
    redirect_uri,
    code_verifier: verifier,
    ...more,
  })
}
const refresh = (refresh_token = '', client_id = request.client_id) =>
  token({ grant_type: 'refresh_token', refresh_token, client_id })

const read = async (path: string, accessToken = '') =>
  (await fetch(url + path, { headers: { authorization: `Bearer ${accessToken}` } })).status

const invalidGrant = { status: 400, body: { error: 'invalid_grant' } }

it('discovery names the endpoints, and S256 as the only challenge method', async () => {
  const response = await fetch(`${issuer}/.well-known/openid-configuration`)
  expect(await response.json()).toMatchObject({
    issuer,
    authorization_endpoint: `${issuer}/oauth2/authorize`,
    token_endpoint: `${issuer}/oauth2/token`,
    jwks_uri: `${issuer}/.well-known/jwks.json`,
    code_challenge_methods_supported: ['S256'],
  })
})

it('a user signs in with PKCE, and the tokens have the shape of Cognito', async () => {
  const { id, username } = await service.makeUser({ username: uniqueName('Ada'), password })
  const { status, target, returned } = await signIn(username.toLowerCase())
  expect([status, `${target?.origin}${target?.pathname}`]).toEqual([303, request.redirect_uri])
  expect(returned).toEqual({ code: expect.any(String), state: request.state, iss: issuer })

  const { status: tokenStatus, body } = await redeem(returned.code)
  expect([tokenStatus, body.token_type, body.expires_in]).toEqual([200, 'Bearer', 3_600])
  const access = decodeJwt(body.access_token ?? '')
  expect(access).toMatchObject({
    iss: issuer,
    sub: id,
    token_use: 'access',
    client_id: request.client_id,
    username,
    scope: 'openid',
  })
  expect(access['cognito:groups']).toBeUndefined()
  expect(decodeJwt(body.id_token ?? '')).toMatchObject({
    sub: id,
    token_use: 'id',
    aud: request.client_id,
    'cognito:username': username,
    nonce: request.nonce,
  })
  expect(await read(`/user/${id}`, body.access_token)).toBe(200)
  expect(await read('/user', body.access_token)).toBe(403)
})

it('the sample administrator signs in with one click, and may list users', async () => {
  const { returned } = await authorize({ scope: '' }, { form: { action: 'administrator' } })
  const { body } = await redeem(returned.code)
  expect(body.id_token).toBeUndefined()
  expect(await read('/user', body.access_token)).toBe(200)
  const refreshed = await refresh(body.refresh_token)
  expect(await read('/user', refreshed.body.access_token)).toBe(200)
})

it('a code works once, and its replay ends the tokens of its first use', async () => {
  const { username } = await service.makeUser({ password })
  const { returned } = await signIn(username)
  const [first, second] = await Promise.all([redeem(returned.code), redeem(returned.code)])
  const accepted = first.status === 200 ? first : second
  expect([first.status, second.status].sort()).toEqual([200, 400])
  expect(await refresh(accepted.body.refresh_token)).toMatchObject(invalidGrant)
})

it.each([
  ['a wrong verifier', { code_verifier: 'x'.repeat(43) }],
  ['another redirect address', { redirect_uri: 'http://127.0.0.1:43211/callback' }],
  ['another client', { client_id: 'local' }],
])('a code is refused with %s, and used up', async (_what, wrong) => {
  const { username } = await service.makeUser({ password })
  const { returned } = await signIn(username)
  expect(await redeem(returned.code, wrong)).toMatchObject(invalidGrant)
  expect(await redeem(returned.code)).toMatchObject(invalidGrant)
})

it('a wrong password, an unknown name and a blocked user get the same page', async () => {
  const { id, username } = await service.makeUser({ password })
  const pages = [await signIn(username, 'a-wrong-password'), await signIn(uniqueName())]
  await service.call('PATCH', `/user/${id}`, { json: { status: 'BLOCKED' } })
  pages.push(await signIn(username))
  for (const { status, text, target } of pages) {
    expect([status, target]).toEqual([400, undefined])
    expect(text).toBe(pages[0]?.text)
  }
})

it('a refresh token works once, and only for its client', async () => {
  const { id, username } = await service.makeUser({ password })
  const { body } = await redeem((await signIn(username)).returned.code)
  expect(await refresh(body.refresh_token, 'local')).toMatchObject(invalidGrant)
  const refreshed = await refresh(body.refresh_token)
  expect(refreshed.status).toBe(200)
  expect(await read(`/user/${id}`, refreshed.body.access_token)).toBe(200)
  expect(decodeJwt(refreshed.body.access_token ?? '').auth_time).toBe(
    decodeJwt(body.access_token ?? '').auth_time,
  )
  expect(await refresh(body.refresh_token)).toMatchObject(invalidGrant)
  expect((await refresh(refreshed.body.refresh_token)).status).toBe(200)
})

it.each([
  ['block', { status: 'BLOCKED' }],
  ['new password', { password: 'another-password' }],
  ['rename', { username: uniqueName('renamed') }],
])('after a %s, neither a code nor a refresh token works', async (_what, json) => {
  const { id, username } = await service.makeUser({ password })
  const { body } = await redeem((await signIn(username)).returned.code)
  const { returned } = await signIn(username)
  expect((await service.call('PATCH', `/user/${id}`, { json })).status).toBe(200)
  expect(await refresh(body.refresh_token)).toMatchObject(invalidGrant)
  expect(await redeem(returned.code)).toMatchObject(invalidGrant)
})

it.each([
  ['an unknown client', { client_id: 'other' }],
  ['a client without a redirect address', { client_id: 'local' }],
  ['a redirect to another host', { redirect_uri: 'http://example.com/callback' }],
  ['a redirect to a name of this machine', { redirect_uri: 'http://localhost:4000/callback' }],
  [
    'a redirect to a host that begins like this machine',
    { redirect_uri: 'http://127.0.0.1.evil.test/callback' },
  ],
  ['a redirect with a user name', { redirect_uri: 'http://127.0.0.1:80@evil.test/callback' }],
  ['a redirect with another path', { redirect_uri: 'http://127.0.0.1:4000/callback/x' }],
  ['a redirect with a query', { redirect_uri: 'http://127.0.0.1:4000/callback?x' }],
  ['a redirect with a fragment', { redirect_uri: 'http://127.0.0.1:4000/callback#x' }],
  ['a redirect with TLS', { redirect_uri: 'https://127.0.0.1:4000/callback' }],
  ['a redirect to an impossible port', { redirect_uri: 'http://127.0.0.1:99999/callback' }],
])('%s gets an error page and no redirect', async (_what, parameters) => {
  for (const form of [undefined, { action: 'administrator' }]) {
    const { status, target, headers } = await authorize(parameters, form && { form })
    expect([status, target]).toEqual([400, undefined])
    expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
  }
})

it.each([
  ['http://127.0.0.1:1/callback'],
  ['http://127.0.0.1:65535/callback'],
  ['http://127.0.0.1/callback'],
  ['http://[::1]:4000/callback'],
])('%s is a redirect address, as RFC 8252 says', async (redirect_uri) => {
  expect((await authorize({ redirect_uri })).status).toBe(200)
})

it.each([
  ['no response type', { response_type: '' }, 'invalid_request'],
  ['another response type', { response_type: 'token' }, 'unsupported_response_type'],
  ['another response mode', { response_mode: 'fragment' }, 'invalid_request'],
  ['no challenge', { code_challenge: '' }, 'invalid_request'],
  ['a plain challenge', { code_challenge_method: 'plain' }, 'invalid_request'],
  ['a short challenge', { code_challenge: 'abc' }, 'invalid_request'],
  ['an unknown scope', { scope: 'openid admin' }, 'invalid_scope'],
  ['no prompt', { prompt: 'none' }, 'login_required'],
])('%s is reported to the client with its OAuth error', async (_what, parameters, error) => {
  const { status, returned } = await authorize(parameters)
  expect([status, returned.error, returned.state, returned.code]).toEqual([
    303,
    error,
    request.state,
    undefined,
  ])
})

it('cancelling is reported to the client', async () => {
  const { returned } = await authorize({}, { form: { action: 'cancel' } })
  expect(returned).toEqual({ error: 'access_denied', state: request.state, iss: issuer })
})

it('the page runs no script, may not be framed, and posts only to itself and the redirect', async () => {
  const { status, headers, text } = await authorize({ state: '"><script>alert(1)</script>' })
  expect([status, headers.get('cache-control')]).toEqual([200, 'no-store'])
  const policy = headers.get('content-security-policy')
  expect(policy).toContain("default-src 'none'")
  expect(policy).toContain("frame-ancestors 'none'")
  expect(policy).toContain("form-action 'self' http://127.0.0.1:43210;")
  expect(policy).not.toContain('script-src')
  expect(text).not.toContain('<script')
})

it('a page of another origin cannot send the form', async () => {
  const form = { action: 'administrator' }
  const foreign = await authorize({}, { form, headers: { origin: 'https://evil.test' } })
  expect([foreign.status, foreign.target]).toEqual([400, undefined])
  expect((await authorize({}, { form, headers: { origin: url } })).status).toBe(303)
})

it('a form of megabytes is rejected', async () => {
  expect((await authorize({}, { form: { password: 'x'.repeat(9_000) } })).status).toBe(413)
})

it('the routes do not exist with another token issuer', async () => {
  for (const path of ['.well-known/openid-configuration', 'oauth2/authorize'])
    expect((await service.call('GET', `/local-issuer/${path}`, { token: null })).status).toBe(404)
})
