// Signing in to the console at the local issuer, in every order of steps.
import { expect, it } from 'vitest'
import type { Problem } from '../../../../src/model/problem.ts'
import { openBrowser } from '../../../support/browser.ts'
import { startLocalServer } from '../../../support/local-issuer.ts'
import { startService, uniqueName } from '../../../support/service.ts'

const service = await startService()
const origin = await startLocalServer(service)
const { port } = new URL(origin)
const sessionCookie = `directory-console-${port}`
const signInCookie = `directory-console-sign-in-${port}`

/** @returns the callback's address after a click on the button for the sample administrator */
async function clickAdministrator(browser = openBrowser(origin), returnTo = '/console/'): Promise<string> {
  const { location = '' } = await browser.open(`/console/sign-in?return_to=${encodeURIComponent(returnTo)}`)
  const { headers } = await fetch(location, {
    method: 'POST',
    body: new URLSearchParams({ action: 'administrator' }),
    redirect: 'manual',
  })
  return headers.get('location') ?? ''
}

it('the sample administrator signs in, reads the session and signs out', async () => {
  const browser = openBrowser(origin)
  const last = await browser.signIn()
  expect([last.status, last.location]).toEqual([302, `${origin}/console/users`])
  const session = await browser.send('/console/session')
  expect(JSON.parse(session.text)).toEqual({
    user: { username: 'admin', role: 'admin', user_id: null },
    expires_at: expect.any(String),
    idle_expires_at: expect.any(String),
    api: { version: expect.any(String) },
    is_local: true,
  })
  expect(session.headers.get('cache-control')).toBe('no-store')
  const out = await browser.send('/console/sign-out', { method: 'POST' })
  expect([out.status, JSON.parse(out.text)]).toEqual([200, { sign_out_url: null }])
  expect(browser.cookies.size).toBe(0)
  expect((await browser.send('/console/session')).status).toBe(401)
  expect((await browser.send('/console/sign-out', { method: 'POST' })).status).toBe(200)
})

it('a user without a role signs in, and may read the own record only', async () => {
  const password = 'a-good-password'
  const { id, username } = await service.makeUser({ password })
  const browser = openBrowser(origin)
  await browser.signIn({ username, password })
  const session = await browser.send('/console/session')
  expect(JSON.parse(session.text).user).toEqual({ username, role: null, user_id: id })
  expect((await browser.send(`/console/api/user/${id}`)).status).toBe(200)
  expect((await browser.send('/console/api/user')).status).toBe(403)
})

it('on this machine the cookies have the port and no Secure, which Safari would reject', async () => {
  const browser = openBrowser(origin)
  const start = await browser.open('/console/sign-in')
  expect(start.headers.getSetCookie()).toEqual([
    expect.stringMatching(
      new RegExp(`^${signInCookie}=[\\w-]{43}\\.[\\w-]+; Path=/; HttpOnly; SameSite=Lax; Max-Age=600$`),
    ),
  ])
  const end = await browser.open(await clickAdministrator(browser))
  expect(end.headers.getSetCookie()).toEqual([
    expect.stringMatching(new RegExp(`^${sessionCookie}=[\\w-]{43}; Path=/; HttpOnly; SameSite=Strict$`)),
    `${signInCookie}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0`,
  ])
})

it('a sign-in on 127.0.0.1 moves to the console’s own host, where the provider leads back to', async () => {
  const { status, headers } = await fetch(
    `http://127.0.0.1:${port}/console/sign-in?return_to=/console/users?q=a%26b`,
    { redirect: 'manual' },
  )
  expect(status).toBe(302)
  const target = new URL(headers.get('location') ?? '')
  expect([target.origin, target.pathname]).toEqual([origin, '/console/sign-in'])
  expect(target.searchParams.get('return_to')).toBe('/console/users?q=a&b')
  expect(headers.getSetCookie()).toEqual([])
})

it.each(['/console/users?sort=-name&search=%C3%A9#row-3', '/console/'])(
  'the browser returns to %s',
  async (path) => {
    const browser = openBrowser(origin)
    const { location } = await browser.open(await clickAdministrator(browser, path))
    expect(location).toBe(origin + path)
  },
)

it.each([
  'https://evil.example/console/',
  '//evil.example/console/',
  '/\\evil.example/console/',
  '/console/../docs',
  '/console/%2e%2e/docs',
  '/consoles/',
  '/console',
  '/docs',
  'console/users',
  'javascript:alert(1)',
  '/console/sign-in',
  '/console/x/../sign-in?return_to=/console/',
  '/console/callback?code=1',
  '/console/api/user',
  `/console/${'x'.repeat(2_000)}`,
])('a sign-in that would return to %s is rejected', async (path) => {
  const { status, text, headers } = await openBrowser(origin).open(
    `/console/sign-in?return_to=${encodeURIComponent(path)}`,
  )
  expect([status, headers.get('location')]).toEqual([400, null])
  expect((JSON.parse(text) as Problem).errors).toEqual([
    { parameter: 'return_to', message: expect.any(String) },
  ])
})

it('a callback works once', async () => {
  const browser = openBrowser(origin)
  const callback = await clickAdministrator(browser)
  const key = browser.cookies.get(signInCookie) ?? ''
  expect((await browser.open(callback)).status).toBe(302)
  const again = await browser.open(callback)
  expect([again.status, again.text]).toEqual([400, expect.stringContaining('Not signed in')])
  // Not even with the cookie, because the provider accepts a code once.
  browser.cookies.set(signInCookie, key)
  expect((await browser.open(callback)).status).toBe(400)
})

it('a callback works in the browser alone that started the sign-in', async () => {
  const attacker = openBrowser(origin)
  const callback = await clickAdministrator(attacker)
  const victim = openBrowser(origin)
  expect((await victim.open(callback)).status).toBe(400)
  // Nor in one that has started another.
  await victim.open('/console/sign-in')
  const mixed = await victim.open(callback)
  expect([mixed.status, victim.cookies.size]).toEqual([400, 0])
})

it.each(['state', 'code', 'iss'])('a callback with another %s is rejected', async (name) => {
  const browser = openBrowser(origin)
  const callback = new URL(await clickAdministrator(browser))
  callback.searchParams.set(name, 'x'.repeat(43))
  expect((await browser.open(callback.href)).status).toBe(400)
  expect(browser.cookies.has(sessionCookie)).toBe(false)
})

it.each(['state', 'code', 'iss'])('a callback without %s is rejected', async (name) => {
  const browser = openBrowser(origin)
  const callback = new URL(await clickAdministrator(browser))
  callback.searchParams.delete(name)
  expect((await browser.open(callback.href)).status).toBe(400)
  expect(browser.cookies.has(sessionCookie)).toBe(false)
})

it('a cancelled sign-in leads to a page that says so', async () => {
  const browser = openBrowser(origin)
  const { location = '' } = await browser.open('/console/sign-in')
  const { headers } = await fetch(location, {
    method: 'POST',
    body: new URLSearchParams({ action: 'cancel' }),
    redirect: 'manual',
  })
  const page = await browser.open(headers.get('location') ?? '')
  expect([page.status, page.text]).toEqual([400, expect.stringContaining('The sign-in was cancelled.')])
  expect(page.headers.get('content-security-policy')).toContain("default-src 'none'")
})

it('a session cookie from before the sign-in never becomes the session', async () => {
  const browser = openBrowser(origin)
  const planted = 'A'.repeat(43)
  browser.cookies.set(sessionCookie, planted)
  await browser.signIn()
  expect(browser.cookies.get(sessionCookie)).not.toBe(planted)
  const attacker = openBrowser(origin)
  attacker.cookies.set(sessionCookie, planted)
  expect((await attacker.send('/console/session')).status).toBe(401)
})

it.each(['', 'x', 'A'.repeat(43), 'A'.repeat(44), '"', '%00', 'A'.repeat(8_000)])(
  'a cookie that belongs to no session is a 401: %s',
  async (value) => {
    const browser = openBrowser(origin)
    browser.cookies.set(sessionCookie, value)
    for (const path of ['/console/session', '/console/api/user', '/console/health']) {
      const { status, text } = await browser.send(path)
      expect([path, status, JSON.parse(text).type]).toEqual([path, 401, 'urn:problem:unauthenticated'])
    }
  },
)

it('a sign-in of a user who is blocked meanwhile is refused', async () => {
  const password = 'a-good-password'
  const { id, username } = await service.makeUser({ username: uniqueName('Blocked'), password })
  const browser = openBrowser(origin)
  const { location = '' } = await browser.open('/console/sign-in')
  const { headers } = await fetch(location, {
    method: 'POST',
    body: new URLSearchParams({ action: 'sign-in', username, password }),
    redirect: 'manual',
  })
  await service.call('PATCH', `/user/${id}`, { json: { status: 'BLOCKED' } })
  expect((await browser.open(headers.get('location') ?? '')).status).toBe(400)
})
