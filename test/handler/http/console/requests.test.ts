// The API through the console: the person's own access, no other origin's requests, and no token for the browser.
import { expect, it } from 'vitest'
import type { User } from '../../../../src/model/user.ts'
import { type Browser, openBrowser } from '../../../support/browser.ts'
import { consoleOrigin, startConsoleServer } from '../../../support/console-server.ts'
import { startProvider } from '../../../support/openid-provider.ts'
import { png } from '../../../support/picture.ts'
import { startService, uniqueName } from '../../../support/service.ts'
import { until } from '../../../support/wait.ts'

const service = await startService()
const provider = await startProvider()
const server = await startConsoleServer(service, provider)
const json = { 'content-type': 'application/json' }

async function signIn(groups: string[] = ['admins'], username = uniqueName('person')): Promise<Browser> {
  provider.person = { username, 'cognito:groups': groups }
  const browser = server.browser()
  const { status } = await browser.signIn()
  expect(status).toBe(302)
  return browser
}

const write = (method: string, value: object, headers: Record<string, string> = {}) => ({
  method,
  body: JSON.stringify(value),
  headers: { ...json, ...headers },
})

it('an administrator creates, reads, changes and erases a user with the headers of the API', async () => {
  const browser = await signIn()
  const created = await browser.send(
    '/console/api/user',
    write('POST', { username: uniqueName(), password: 'a-good-password' }, { 'x-request-id': 'a-request-1' }),
  )
  expect([created.status, created.headers.get('etag'), created.headers.get('x-request-id')]).toEqual([
    201,
    '"1"',
    'a-request-1',
  ])
  const { id } = JSON.parse(created.text) as User
  // References stay within the console.
  expect(created.headers.get('location')).toBe(`/console/api/user/${id}`)
  const read = await browser.send(`/console/api/user/${id}`)
  expect([read.status, read.headers.get('x-cache')]).toEqual([200, expect.any(String)])
  expect(
    (await browser.send(`/console/api/user/${id}`, { headers: { 'if-none-match': '"1"' } })).status,
  ).toBe(304)
  const patch = (version: string) =>
    browser.send(`/console/api/user/${id}`, write('PATCH', { name: 'New' }, { 'if-match': version }))
  expect((await patch('"1"')).status).toBe(200)
  const conflict = await patch('"1"')
  expect([conflict.status, conflict.headers.get('content-type')]).toEqual([412, 'application/problem+json'])
  const upload = await browser.send(`/console/api/upload/${id}`, {
    method: 'POST',
    body: await png(),
    headers: { 'content-type': 'image/png' },
  })
  expect(upload.status).toBe(200)
  expect((await browser.send(`/console/api/user/${id}`, { method: 'DELETE' })).status).toBe(204)
  await service.makeUser()
  await service.makeUser()
  const page = await browser.send('/console/api/user?limit=1')
  expect(page.headers.get('link')).toMatch(/^<\/console\/api\/user\?.*>; rel="next"$/)
  expect((await browser.send('/console/api/nothing')).status).toBe(404)
  expect((await browser.send('/console/api/user', { method: 'DELETE' })).status).toBe(405)
})

it('a reader sees and cannot change', async () => {
  const { id } = await service.makeUser()
  const browser = await signIn(['readers'])
  expect(JSON.parse((await browser.send('/console/session')).text).user.role).toBe('reader')
  expect((await browser.send(`/console/api/user/${id}`)).status).toBe(200)
  expect((await browser.send(`/console/api/user/${id}`, write('PATCH', { name: 'New' }))).status).toBe(403)
})

it('the list that a page asks for before it knows the session is empty for a person who may not see it', async () => {
  const early = { headers: { 'x-console-early': '1' } }
  const admin = await signIn()
  const { id } = await service.makeUser()
  expect(JSON.parse((await admin.send(`/console/api/user?ids=${id}`, early)).text).items).toHaveLength(1)
  for (const browser of [await signIn([]), server.browser()]) {
    const { status, text } = await browser.send('/console/api/user', early)
    expect([status, text]).toEqual([204, ''])
  }
  const elsewhere = { headers: { ...early.headers, 'sec-fetch-site': 'cross-site' } }
  expect((await admin.send('/console/api/user', elsewhere)).status).toBe(204)
})

it('a long list is compressed for the console, and a user with an ETag is not', async () => {
  const browser = await signIn()
  const { id } = await service.makeUser({
    attributes: { note: 'long '.repeat(100), more: 'long '.repeat(100), most: 'long '.repeat(100) },
  })
  await service.makeUser({ attributes: { note: 'long '.repeat(100) } })
  const read = async (path: string, coding: string) => {
    const { status, headers, text } = await browser.send(path, { headers: { 'accept-encoding': coding } })
    expect(status).toBe(200)
    return [headers.get('content-encoding'), headers.get('vary'), JSON.parse(text) as unknown]
  }
  const plain = await read('/console/api/user?limit=2&sort=-created_at', 'br;q=0, identity')
  expect(plain).toEqual([null, expect.stringContaining('Accept-Encoding'), expect.anything()])
  for (const coding of ['br', 'gzip'])
    expect(await read('/console/api/user?limit=2&sort=-created_at', coding)).toEqual([
      coding,
      plain[1],
      plain[2],
    ])
  const [coding, , user] = await read(`/console/api/user/${id}`, 'br')
  expect(JSON.stringify(user).length).toBeGreaterThan(1_400)
  expect(coding).toBe(null)
})

it('the body limits of the API hold', async () => {
  const browser = await signIn()
  const { status } = await browser.send('/console/api/user', {
    method: 'POST',
    headers: json,
    body: JSON.stringify({ username: 'x'.repeat(9_000_000) }),
  })
  expect(status).toBe(413)
})

it.each<[string, Record<string, string>]>([
  ['a form of another site', { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }],
  ['a form of the own site', { 'sec-fetch-site': 'same-origin', origin: consoleOrigin }],
  ['another origin of the same site', { 'x-console': '1', 'sec-fetch-site': 'same-site' }],
  ['another site that sends the header', { 'x-console': '1', 'sec-fetch-site': 'cross-site' }],
  ['an old browser on another origin', { 'x-console': '1', origin: 'https://evil.example' }],
  ['a page without an origin', { 'x-console': '1', origin: 'null' }],
  ['a stolen cookie without headers', {}],
  ['a stolen cookie with the header alone', { 'x-console': '1' }],
  ['an address that a person opened', { 'x-console': '1', 'sec-fetch-site': 'none' }],
  ['another value of the header', { 'x-console': 'true', 'sec-fetch-site': 'same-origin' }],
])('%s changes nothing', async (_name, headers) => {
  const { id, version } = await service.makeUser()
  const browser = await signIn()
  const cookie = [...browser.cookies].map((pair) => pair.join('=')).join('; ')
  for (const [method, path] of [
    ['PATCH', `/console/api/user/${id}`],
    ['DELETE', `/console/api/user/${id}`],
    ['POST', '/console/sign-out'],
    ['PUT', '/console/users'],
  ] as const) {
    const response = await fetch(server.url + path, {
      method,
      headers: { ...headers, cookie, ...json },
      ...(method === 'PATCH' && { body: '{"name":"Stolen"}' }),
    })
    expect([method, response.status]).toEqual([method, 403])
    expect(response.headers.getSetCookie()).toEqual([])
  }
  expect((await service.call('GET', `/user/${id}`)).body.version).toBe(version)
  expect((await browser.send('/console/session')).status).toBe(200)
})

it('other origins read nothing, even those in CORS_ORIGINS', async () => {
  const browser = await signIn()
  for (const site of ['same-site', 'cross-site'])
    for (const path of ['/console/api/user', '/console/session', '/console/health']) {
      const { status } = await browser.send(path, { headers: { 'sec-fetch-site': site } })
      expect([path, site, status]).toEqual([path, site, 403])
    }
  const { headers } = await browser.send('/console/api/user', {
    headers: { origin: 'https://office.example' },
  })
  expect(headers.get('access-control-allow-origin')).toBeNull()
  expect(headers.get('cross-origin-resource-policy')).toBe('same-origin')
  const preflight = await fetch(`${server.url}/console/api/user`, {
    method: 'OPTIONS',
    headers: { origin: 'https://office.example', 'access-control-request-method': 'PATCH' },
  })
  expect([preflight.status, preflight.headers.get('access-control-allow-origin')]).toEqual([403, null])
})

it('the cookie identifies the person nowhere else', async () => {
  const browser = await signIn()
  for (const path of ['/user', '/console/../user', '/consoleapi/user'])
    expect((await browser.send(path)).status, path).toBeGreaterThanOrEqual(401)
})

it("a client's own Authorization header does not replace the session", async () => {
  const browser = await signIn(['readers'])
  const headers = { authorization: `Bearer ${service.tokens.admin}` }
  const { id } = await service.makeUser()
  const { status } = await browser.send(`/console/api/user/${id}`, { method: 'DELETE', headers })
  expect(status).toBe(403)
  expect((await server.browser().send('/console/api/user', { headers })).status).toBe(401)
})

it('the session of a blocked user ends within a second, and its row is removed', async () => {
  const { id, username } = await service.makeUser()
  const browser = await signIn(['admins'], username)
  expect((await browser.send('/console/api/user?limit=1')).status).toBe(200)
  await service.call('PATCH', `/user/${id}`, { json: { status: 'BLOCKED' } })
  const startedAt = performance.now()
  await until(
    'the session to end',
    async () => (await browser.send('/console/api/user?limit=1')).status === 401,
    1_000,
  )
  expect(performance.now() - startedAt).toBeLessThan(1_000)
  // Its refresh token is revoked, too.
  expect(provider.revoked.length).toBeGreaterThan(0)
  await service.call('PATCH', `/user/${id}`, { json: { status: 'ACTIVE' } })
  expect((await browser.send('/console/session')).status).toBe(401)
})

it('a sign-out in one tab ends the session in all tabs', async () => {
  const browser = await signIn()
  const otherTab = openBrowser(consoleOrigin, server.url)
  for (const [name, value] of browser.cookies) otherTab.cookies.set(name, value)
  expect((await otherTab.send('/console/api/user')).status).toBe(200)
  await browser.send('/console/sign-out', { method: 'POST' })
  expect((await otherTab.send('/console/api/user')).status).toBe(401)
})

it('no answer contains a token, and neither does the log', async () => {
  const browser = await signIn()
  for (const path of [
    '/console/session',
    '/console/health',
    '/console/api/user?limit=2',
    '/console/',
    '/console/x',
  ])
    await browser.send(path)
  await browser.send('/console/api/user', write('POST', {}))
  await browser.send('/console/sign-out', { method: 'POST' })
  await browser.send('/console/session')
  const bytes = browser.received()
  expect(bytes.length).toBeGreaterThan(1_000)
  // Every JWT begins with the base64 of {" and has two dots.
  expect(bytes).not.toMatch(/eyJ[\w-]+\.[\w-]+\./)
  expect(JSON.stringify(service.log)).not.toMatch(/eyJ[\w-]+\.[\w-]+\./)
  const stored = await service.connections.db.query((queries) =>
    queries.unprepared<{ row: string }>("SELECT encode(sealed, 'escape') AS row FROM console_sessions", []),
  )
  for (const { row } of stored) expect(row).not.toContain('eyJ')
})
