// The console on AWS: sign-in, session and API in the built functions, with the provider beyond a function of its own.
import { expect, it } from 'vitest'
import type { GatewayReply } from '../../../src/handler/lambda/gateway-event.ts'
import type { User } from '../../../src/model/user.ts'
import type { Browser } from '../../support/browser.ts'
import { consoleEvent, startConsoleFunction } from '../../support/console-function.ts'
import { consoleOrigin } from '../../support/console-server.ts'
import { consoleClient, startProvider } from '../../support/openid-provider.ts'
import { png } from '../../support/picture.ts'
import { realServices, startService, uniqueName } from '../../support/service.ts'

const service = await startService({ env: realServices() })
const provider = await startProvider()
const { browser: openBrowser, api, cognito, lines } = await startConsoleFunction(provider, service)

async function signIn(groups = ['admins'], username = uniqueName('person')): Promise<Browser> {
  provider.person = { username, 'cognito:groups': groups }
  const browser = openBrowser()
  const { status, location } = await browser.signIn()
  expect([status, location]).toEqual([302, `${consoleOrigin}/console/users`])
  return browser
}

const write = (method: string, value: object, headers: Record<string, string> = {}) => ({
  method,
  body: JSON.stringify(value),
  headers: { 'content-type': 'application/json', ...headers },
})

it('a person signs in, reads the session and signs out, with cookies for this host alone', async () => {
  const username = uniqueName('person')
  provider.person = { username, 'cognito:groups': ['readers'] }
  const browser = openBrowser()
  const start = await browser.open('/console/sign-in')
  expect(start.headers.getSetCookie()).toEqual([
    expect.stringMatching(
      /^__Host-directory-console-sign-in=[\w-]{43}\.[\w-]+; Path=\/; Secure; HttpOnly; SameSite=Lax; Max-Age=600$/,
    ),
  ])
  const { location: callback = '' } = await browser.open(start.location ?? '')
  const end = await browser.open(callback)
  expect(end.headers.getSetCookie()).toEqual([
    expect.stringMatching(/^__Host-directory-console=[\w-]{43}; Path=\/; Secure; HttpOnly; SameSite=Strict$/),
    '__Host-directory-console-sign-in=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0',
  ])
  const session = JSON.parse((await browser.send('/console/session')).text)
  expect(session).toMatchObject({ user: { username, role: 'reader' }, is_local: false })
  const revoked = provider.revoked.length
  const out = await browser.send('/console/sign-out', { method: 'POST' })
  const signOut = new URL(JSON.parse(out.text).sign_out_url)
  expect([signOut.searchParams.get('client_id'), signOut.searchParams.get('logout_uri')]).toEqual([
    consoleClient.clientId,
    `${consoleOrigin}/console/`,
  ])
  expect([provider.revoked.length, browser.cookies.size]).toEqual([revoked + 1, 0])
  expect((await browser.send('/console/session')).status).toBe(401)
})

it('an administrator creates, changes and erases a user; references stay within the console', async () => {
  const browser = await signIn()
  const created = await browser.send(
    '/console/api/user',
    write('POST', { username: uniqueName(), password: 'a-good-password' }),
  )
  expect(created.status).toBe(201)
  const { id } = JSON.parse(created.text) as User
  const path = `/console/api/user/${id}`
  expect([created.headers.get('location'), created.headers.get('etag')]).toEqual([path, '"1"'])
  expect((await browser.send(path, write('PATCH', { name: 'New' }, { 'if-match': '"1"' }))).status).toBe(200)
  expect((await browser.send(path, write('PATCH', { name: 'Lost' }, { 'if-match': '"1"' }))).status).toBe(412)
  const upload = await browser.send(`/console/api/upload/${id}`, {
    method: 'POST',
    body: await png(),
    headers: { 'content-type': 'image/png' },
  })
  expect(upload.status).toBe(200)
  await service.makeUser()
  const page = await browser.send('/console/api/user?limit=1')
  expect(page.headers.get('link')).toMatch(/^<\/console\/api\/user\?.*>; rel="next"$/)
  const health = JSON.parse((await browser.send('/console/health')).text)
  expect(health).toMatchObject({ ready: { dependencies: { database: 'up', cache: 'up' } } })
  expect((await browser.send(path, { method: 'DELETE' })).status).toBe(204)
})

it('a reader sees and cannot change, and a person without a role sees no other user', async () => {
  const { id } = await service.makeUser()
  const path = `/console/api/user/${id}`
  const reader = await signIn(['readers'])
  expect((await reader.send(path)).status).toBe(200)
  expect((await reader.send(path, write('PATCH', { name: 'New' }))).status).toBe(403)
  const nobody = await signIn([])
  expect((await nobody.send(path)).status).toBe(403)
})

it('a session ends within a second after another server has blocked its user', async () => {
  const { id, username } = await service.makeUser()
  const browser = await signIn(['admins'], username)
  expect((await browser.send('/console/api/user?limit=1')).status).toBe(200)
  await service.call('PATCH', `/user/${id}`, { json: { status: 'BLOCKED' } })
  const blockedAt = performance.now()
  // Of the requests, only those that began within the second may still be answered.
  for (;;) {
    const beganAfterMs = performance.now() - blockedAt
    const { status } = await browser.send('/console/api/user?limit=1')
    if (status === 401) break
    expect([status, beganAfterMs < 1_000]).toEqual([200, true])
  }
  expect((await browser.send('/console/session')).status).toBe(401)
  // The pool would reject the sign-in. This provider does not.
  expect((await browser.signIn()).status).toBe(400)
})

it.each<[string, Record<string, string>]>([
  ['a form of another site', { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }],
  ['another origin of the same site', { 'x-console': '1', 'sec-fetch-site': 'same-site' }],
  ['an old browser on another origin', { 'x-console': '1', origin: 'https://evil.example' }],
  ['a stolen cookie without headers', {}],
  ['an address that a person opened', { 'x-console': '1', 'sec-fetch-site': 'none' }],
])('%s changes nothing', async (_name, headers) => {
  const { id, version } = await service.makeUser()
  const browser = await signIn()
  const cookie = [...browser.cookies].map((pair) => pair.join('=')).join('; ')
  for (const [method, path] of [
    ['PATCH', `/console/api/user/${id}`],
    ['POST', '/console/sign-out'],
  ] as const) {
    const request = new Request(`https://gateway${path}`, { method, body: '{"name":"Stolen"}' })
    for (const [name, value] of Object.entries({ ...headers, cookie, 'content-type': 'application/json' }))
      request.headers.set(name, value)
    const answer = (await api.invoke(await consoleEvent(request))) as GatewayReply
    expect([method, answer.statusCode, answer.multiValueHeaders]).toEqual([method, 403, undefined])
  }
  expect((await service.call('GET', `/user/${id}`)).body.version).toBe(version)
  expect((await browser.send('/console/session')).status).toBe(200)
})

it('without a session nothing is answered, whatever token or path a request has', async () => {
  for (const path of [
    '/console/api/user',
    '/console/session',
    '/console/health',
    '/console/api/console/session',
  ]) {
    const request = new Request(`https://gateway${path}`)
    request.headers.set('authorization', `Bearer ${service.tokens.admin}`)
    const answer = (await api.invoke(await consoleEvent(request))) as GatewayReply
    expect([path, answer.statusCode]).toEqual([path, 401])
  }
  // The gateway's route without an authorizer must lead nowhere else.
  for (const path of ['/user', '/console/../user', '/%63onsole/user', '/consoles', '//console/user']) {
    const event = { ...(await consoleEvent(new Request('https://gateway/console/x'))), path }
    const answer = (await api.invoke(event)) as GatewayReply
    expect([path, [401, 404].includes(answer.statusCode)]).toEqual([path, true])
  }
})

it('files and pages come from elsewhere', async () => {
  for (const path of ['/console/', '/console/users', '/console/assets/index.js'])
    expect((await openBrowser().open(path)).status).toBe(404)
})

it('while the provider’s function fails, a sign-in is a 503, and a session goes on', async () => {
  const browser = await signIn()
  const working = cognito.functions['openid-provider'] as (event: unknown) => Promise<unknown>
  cognito.functions['openid-provider'] = () => Promise.reject(new Error('out of memory'))
  try {
    const { status, text } = await openBrowser().open('/console/sign-in')
    expect([status, JSON.parse(text).type]).toEqual([503, 'urn:problem:unavailable'])
    expect((await browser.send('/console/api/user?limit=1')).status).toBe(200)
  } finally {
    cognito.functions['openid-provider'] = working
  }
})

it('a sign-in whose code the provider rejects fails', async () => {
  const browser = openBrowser()
  const { location = '' } = await browser.open('/console/sign-in')
  const callback = new URL((await browser.open(location)).location ?? '')
  callback.searchParams.set('code', 'stolen')
  const page = await browser.open(callback.href)
  expect([page.status, page.text]).toEqual([400, expect.stringContaining('The sign-in failed.')])
})

it('no answer and no log line holds a token or the client’s secret', async () => {
  const browser = await signIn()
  await browser.send('/console/api/user?limit=5')
  await browser.send('/console/session')
  await browser.send('/console/health')
  await browser.send('/console/sign-out', { method: 'POST' })
  const refreshToken = provider.revoked.at(-1) ?? ''
  expect(refreshToken).not.toBe('')
  expect(lines.length).toBeGreaterThan(5)
  for (const text of [browser.received(), lines.join('\n')]) {
    expect(text).not.toMatch(/eyJ[\w-]+\.[\w-]+/)
    expect(text).not.toContain(refreshToken)
    expect(text).not.toContain(consoleClient.clientSecret)
  }
})
