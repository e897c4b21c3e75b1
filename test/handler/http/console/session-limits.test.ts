// How long a session of the console lives: limits of time, refreshes, servers.
import { createHash } from 'node:crypto'
import { expect, it } from 'vitest'
import type { Browser } from '../../../support/browser.ts'
import { startConsoleServer } from '../../../support/console-server.ts'
import { startProvider } from '../../../support/openid-provider.ts'
import { startService, uniqueName } from '../../../support/service.ts'

const service = await startService()
const minutes = 60_000

/** A server with a clock that the test moves. */
async function setUp() {
  const provider = await startProvider()
  provider.person = { username: uniqueName('admin'), 'cognito:groups': ['admins'] }
  let now = Date.now()
  const clock = () => now
  const server = await startConsoleServer(service, provider, { clock })
  const browser = server.browser()
  await browser.signIn()
  const list = async (by = browser) => (await by.send('/console/api/user?limit=1')).status
  return {
    provider,
    clock,
    server,
    browser,
    list,
    pass: (ms: number) => {
      now += ms
    },
    session: async () => {
      const { status, text } = await browser.send('/console/session')
      return { status, ...(JSON.parse(text) as { expires_at: string; idle_expires_at: string }) }
    },
  }
}

const rowCount = async () => {
  const [row] = await service.connections.db.query((queries) =>
    queries.unprepared<{ count: number }>('SELECT count(*)::int AS count FROM console_sessions', []),
  )
  return row?.count
}

it('a session ends after 30 minutes without use, and use extends it', async () => {
  const { list, pass, session, clock } = await setUp()
  pass(29 * minutes)
  expect(await list()).toBe(200)
  expect(Date.parse((await session()).idle_expires_at)).toBe(clock() + 30 * minutes)
  pass(29 * minutes)
  // Reading the session is no use of it.
  expect((await session()).status).toBe(200)
  pass(1 * minutes)
  expect((await session()).status).toBe(401)
  expect(await list()).toBe(401)
})

it('a session ends after 12 hours however it is used', async () => {
  const { list, pass, session, clock } = await setUp()
  const end = Date.parse((await session()).expires_at)
  expect(end).toBe(clock() + 720 * minutes)
  for (let passed = 0; passed < 700; passed += 20) {
    expect(await list()).toBe(200)
    pass(20 * minutes)
  }
  expect(await list()).toBe(200)
  expect((await session()).idle_expires_at).toBe(new Date(end).toISOString())
  pass(20 * minutes)
  expect(await list()).toBe(401)
})

it('tokens are refreshed before they expire, once for all requests of all servers', async () => {
  const { provider, server, browser, list, pass, clock } = await setUp()
  const other = await startConsoleServer(service, provider, { clock })
  const otherBrowser = other.browser()
  for (const [name, value] of browser.cookies) otherBrowser.cookies.set(name, value)
  for (const round of [1, 2]) {
    for (let passed = 0; passed < 3; passed++) {
      pass(20 * minutes)
      if (passed < 2) expect(await list()).toBe(200)
    }
    const statuses = await Promise.all(
      Array.from({ length: 8 }, (_, at) => list(at % 2 === 0 ? browser : otherBrowser)),
    )
    expect(statuses).toEqual(Array(8).fill(200))
    expect(provider.counts).toEqual({ refreshed: round, reused: 0 })
  }
  await server.close()
  expect(await list(otherBrowser)).toBe(200)
})

it('a refused refresh ends the session', async () => {
  const { provider, list, pass } = await setUp()
  provider.refreshes = 'refused'
  pass(25 * minutes)
  expect(await list()).toBe(200)
  pass(25 * minutes)
  expect(await list()).toBe(200)
  const before = (await rowCount()) ?? 0
  pass(9.5 * minutes)
  expect(await list()).toBe(401)
  expect(await rowCount()).toBe(before - 1)
  provider.refreshes = 'normal'
  expect(await list()).toBe(401)
})

it('a provider that fails ends no session: the present token is used, then the answer is 503', async () => {
  const { provider, list, pass } = await setUp()
  provider.refreshes = 'failing'
  pass(29 * minutes)
  expect(await list()).toBe(200)
  pass(29 * minutes)
  expect(await list()).toBe(200)
  pass(1.5 * minutes)
  expect(await list()).toBe(200)
  pass(1 * minutes)
  expect(await list()).toBe(503)
  provider.refreshes = 'normal'
  expect(await list()).toBe(200)
  expect(provider.counts).toEqual({ refreshed: 1, reused: 0 })
})

it('tokens of another session do not open with this cookie, and end it', async () => {
  const [victim, attacker] = [await setUp(), await setUp()]
  const idOf = (browser: Browser) =>
    createHash('sha256')
      .update(browser.cookies.get('__Host-directory-console') ?? '')
      .digest()
  await service.connections.db.query((queries) =>
    queries.unprepared(
      `UPDATE console_sessions SET sealed = (SELECT sealed FROM console_sessions WHERE id = $1) WHERE id = $2`,
      [idOf(victim.browser), idOf(attacker.browser)],
    ),
  )
  expect(await attacker.list()).toBe(401)
  expect(await attacker.list()).toBe(401)
  expect(await victim.list()).toBe(200)
})

it('a session survives a restart of the server', async () => {
  const { provider, server, browser } = await setUp()
  await server.close()
  const next = (await startConsoleServer(service, provider)).browser()
  for (const [name, value] of browser.cookies) next.cookies.set(name, value)
  expect((await next.send('/console/api/user?limit=1')).status).toBe(200)
})

it('a sign-in removes sessions that were not used for longer than the idle limit', async () => {
  const { server, session, list, pass } = await setUp()
  const before = (await rowCount()) ?? 0
  pass(15 * 60 * minutes)
  // All sessions of this file are older than that.
  await server.browser().signIn()
  expect(before).toBeGreaterThan(1)
  expect(await rowCount()).toBe(1)
  expect([await list(), (await session()).status]).toEqual([401, 401])
})

it('a person has at most 20 sessions, and a further sign-in ends the oldest', async () => {
  const { provider, server, browser, list, pass } = await setUp()
  const person = provider.person
  const others: Browser[] = []
  for (let at = 0; at < 19; at++) {
    pass(1_000)
    const other = server.browser()
    await other.signIn()
    others.push(other)
  }
  expect(await list()).toBe(200)
  provider.person = { username: uniqueName('other'), 'cognito:groups': ['admins'] }
  await server.browser().signIn()
  expect(await list()).toBe(200)
  provider.person = person
  pass(1_000)
  const latest = [server.browser(), server.browser()]
  await Promise.all(latest.map((one) => one.signIn()))
  const statuses = await Promise.all([browser, ...others, ...latest].map((one) => list(one)))
  expect(statuses).toEqual([401, 401, ...Array(20).fill(200)])
})

it('polling is no use of a session, so a page that was left open ends', async () => {
  const { browser, list, pass } = await setUp()
  const poll = async () =>
    (await browser.send('/console/api/user?limit=1', { headers: { 'x-console-poll': '1' } })).status
  for (let passed = 0; passed < 29; passed++) {
    pass(1 * minutes)
    expect(await poll()).toBe(200)
  }
  expect(await list()).toBe(200)
  for (let passed = 0; passed < 29; passed++) {
    pass(1 * minutes)
    expect(await poll()).toBe(200)
  }
  pass(1 * minutes)
  expect(await poll()).toBe(401)
  expect(await list()).toBe(401)
})
