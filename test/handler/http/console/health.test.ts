// The console shows the state of the service, and how soon a block has ended a session.
import { expect, it } from 'vitest'
import type { User } from '../../../../src/model/user.ts'
import { revalidate } from '../../../../src/services/revalidation/run.ts'
import type { Browser } from '../../../support/browser.ts'
import { startConsoleServer } from '../../../support/console-server.ts'
import { startProvider } from '../../../support/openid-provider.ts'
import { startService, uniqueName } from '../../../support/service.ts'
import { until } from '../../../support/wait.ts'

const service = await startService()
const provider = await startProvider()
const server = await startConsoleServer(service, provider)

async function signIn(groups: string[], username = uniqueName('person')): Promise<Browser> {
  provider.person = { username, 'cognito:groups': groups }
  const browser = server.browser()
  expect((await browser.signIn()).status).toBe(302)
  return browser
}

const healthOf = async (browser: Browser) => JSON.parse((await browser.send('/console/health')).text)

it('health has the dependencies, the jobs, and the last revalidation', async () => {
  const browser = await signIn(['readers'])
  expect(await healthOf(browser)).toMatchObject({
    ready: { status: 'ready', dependencies: { database: 'up', cache: 'up', avatars: 'up' } },
    jobs: { waiting: 0, running: 0, failed_last_day: 0 },
    revalidation: null,
    process: { workers: 1 },
  })
  await revalidate(service.connections)
  const { revalidation } = await healthOf(browser)
  expect(revalidation).toMatchObject({ scanned: 0, repaired: 0 })
  expect(Math.abs(Date.now() - Date.parse(revalidation.finished_at))).toBeLessThan(60_000)
})

it('health has the requests of the last hour by minute, with errors and answers of the cache', async () => {
  const browser = await signIn(['admins'])
  const { id } = await service.makeUser()
  const sum = async (field: string) => {
    const { process } = await healthOf(browser)
    expect(process.minutes).toHaveLength(60)
    return process.minutes.reduce(
      (sum: number, minute: Record<string, number>) => sum + (minute[field] ?? 0),
      0,
    )
  }
  const [requests, hits] = [await sum('requests'), await sum('hits')]
  for (let index = 0; index < 3; index++) await browser.send(`/console/api/user/${id}`)
  expect([await sum('requests'), await sum('hits')]).toEqual([requests + 3, hits + 2])
})

it('health and the end of a session are for people who may look', async () => {
  const stranger = await signIn([])
  const address = `/console/session-end/${crypto.randomUUID()}`
  for (const path of ['/console/health', address]) {
    expect((await stranger.send(path)).status).toBe(403)
    expect((await server.browser().send(path)).status).toBe(401)
  }
  const reader = await signIn(['readers'])
  expect(JSON.parse((await reader.send(address)).text)).toEqual({ session_end: null })
  expect((await reader.send('/console/session-end/%00')).status).toBe(200)
})

it('a block shows by how much the last session outlived it, once that was refused', async () => {
  const user: User = await service.makeUser()
  const admin = await signIn(['admins'])
  const blocked = await signIn(['readers'], user.username)
  const list = () => blocked.send('/console/api/user')
  expect((await list()).status).toBe(200)
  const ended = async () => JSON.parse((await admin.send(`/console/session-end/${user.id}`)).text).session_end
  expect(await ended()).toBe(null)
  const body = JSON.stringify({ status: 'BLOCKED' })
  const headers = { 'content-type': 'application/json' }
  await admin.send(`/console/api/user/${user.id}`, { method: 'PATCH', body, headers })
  await until('the session to be refused', async () => (await list()).status === 401)
  const end = await ended()
  expect(end.outlived_ms).toBeLessThan(1_000)
  expect(Math.abs(Date.now() - Date.parse(end.refused_at))).toBeLessThan(10_000)
  expect((await healthOf(admin)).process.sessions_ended).toBeGreaterThan(0)
})
