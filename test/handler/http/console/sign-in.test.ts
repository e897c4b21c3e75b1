// Signing in to the console at the local issuer, and the session that follows.
import { expect, it } from 'vitest'
import { openBrowser } from '../../../support/browser.ts'
import { startLocalServer } from '../../../support/local-issuer.ts'
import { startService } from '../../../support/service.ts'

const service = await startService()
const origin = await startLocalServer(service)

it('the sample administrator signs in, uses the API and signs out', async () => {
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
  const list = await browser.send('/console/api/user?limit=1')
  expect(list.status).toBe(200)
  const created = await browser.send('/console/api/user', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: 'made.by.console', password: 'a-good-password' }),
  })
  expect(created.status).toBe(201)
  expect(created.headers.get('location')).toMatch(/^\/console\/api\/user\//)
  const out = await browser.send('/console/sign-out', { method: 'POST' })
  expect(JSON.parse(out.text)).toEqual({ sign_out_url: null })
  expect(browser.cookies.size).toBe(0)
  expect((await browser.send('/console/session')).status).toBe(401)
})
