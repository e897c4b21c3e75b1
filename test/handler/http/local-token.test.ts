// The local issuer's password grant, and its token endpoint.
import { expect, it } from 'vitest'
import { startLocalServer } from '../../support/local-issuer.ts'
import { sendRaw } from '../../support/raw.ts'
import { startService, uniqueName } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

const service = await startService()
const url = await startLocalServer(service)

async function post(body: string | URLSearchParams, headers: Record<string, string> = {}) {
  const response = await fetch(`${url}/local-issuer/oauth2/token`, { method: 'POST', body, headers })
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Record<string, unknown>,
  }
}
const signIn = (username: string, password: string) =>
  post(new URLSearchParams({ grant_type: 'password', username, password }))
const read = async (path: string, token: unknown) =>
  (await fetch(url + path, { headers: { authorization: `Bearer ${token}` } })).status

it('a created user signs in, calls the API, and is rejected once blocked', async () => {
  const { id, username } = await service.makeUser({
    username: uniqueName('Ada'),
    password: 'a-good-password',
  })
  const path = `/user/${id}`
  const { status, headers, body } = await signIn(username.toLowerCase(), 'a-good-password')
  expect([status, headers.get('cache-control'), body.token_type]).toEqual([200, 'no-store', 'Bearer'])
  expect(await read(path, body.access_token)).toBe(200)
  expect(await read('/user', body.access_token)).toBe(403)

  const json = { status: 'BLOCKED' }
  expect((await service.call('PATCH', path, { json })).status).toBe(200)
  await until('the token to be refused', async () => (await read(path, body.access_token)) === 401, 1_000)
  const refusals = await Promise.all([
    signIn(username, 'a-good-password'),
    signIn(username, 'a-wrong-password'),
    signIn(uniqueName(), 'a-good-password'),
    signIn('no\u0000body', 'a-good-password'),
  ])
  for (const refusal of refusals)
    expect([refusal.status, refusal.body]).toEqual([
      400,
      { error: 'invalid_grant', error_description: 'Incorrect username or password.' },
    ])
})

it('a token requested right after a password change is accepted', async () => {
  const { id, username } = await service.makeUser()
  await service.call('PATCH', `/user/${id}`, { json: { password: 'another-password' } })
  const { body } = await signIn(username, 'another-password')
  expect(await read(`/user/${id}`, body.access_token)).toBe(200)
  expect((await signIn(username, 'a-good-password')).status).toBe(400)
})

it('a burst of sign-ins does not stop reads, and is answered with 400 or 429', async () => {
  const { id, username } = await service.makeUser()
  const { body } = await signIn(username, 'a-good-password')
  let open = 300
  const tries = Array.from({ length: open }, async (_, at) => {
    const { status } = await signIn(at % 2 === 0 ? username : `nobody.${at}`, 'a-wrong-password')
    open--
    return status
  })
  let reads = 0
  while (open > 0) {
    // On a connection of its own: an overloaded server pauses those of rejected sign-ins.
    const headers = { authorization: `Bearer ${body.access_token}` }
    expect((await sendRaw(url, { path: `/user/${id}`, headers })).status).toBe(200)
    reads++
  }
  expect(reads).toBeGreaterThan(20)
  expect(new Set(await Promise.all(tries))).toEqual(new Set([400, 429]))
})

it.each([
  ['another grant type', new URLSearchParams({ grant_type: 'client_credentials' }), 'unsupported_grant_type'],
  ['no password', new URLSearchParams({ grant_type: 'password', username: 'ada' }), 'invalid_request'],
  ['no grant type', new URLSearchParams({ username: 'ada', password: 'a-good-password' }), 'invalid_request'],
  [
    'a repeated username',
    new URLSearchParams('grant_type=password&username=ada&username=bob&password=a-good-password'),
    'invalid_request',
  ],
  ['a JSON body', JSON.stringify({ username: 'ada', password: 'a-good-password' }), 'invalid_request'],
])('%s is rejected with its OAuth error', async (_what, body, error) => {
  expect(await post(body)).toMatchObject({ status: 400, body: { error } })
})

it('an endless form is rejected', async () => {
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  expect((await post('x'.repeat(9_000), form)).status).toBe(413)
})

it('the route does not exist with another token issuer', async () => {
  expect((await service.call('POST', '/local-issuer/oauth2/token', { token: null })).status).toBe(404)
})
