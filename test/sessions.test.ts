// A token's end before its time: when its user is blocked, changes the password, is renamed or erased. Two
// servers on one PostgreSQL and Redis.
import { describe, expect, it } from 'vitest'
import { namePlace } from '../src/connection/cache.ts'
import { fold } from '../src/model/text.ts'
import type { User } from '../src/model/user.ts'
import { createCallerLookup } from '../src/services/callers.ts'
import { realServices, type Service, startService, uniqueName } from './support/service.ts'
import { until } from './support/wait.ts'

const env = realServices()
const first = await startService({ env })
const second = await startService({ env, beside: first })
const { call, issuer, makeUser } = first
const servers = [first, second]

const seconds = () => Math.floor(Date.now() / 1_000)
const tokenOf = (username: string, claims: Record<string, unknown> = {}) =>
  issuer.token({ username, 'cognito:groups': ['readers'], ...claims })
/** Of somebody who signs in once the second of the last change is over. */
const laterToken = (username: string) => tokenOf(username, { iat: seconds() + 2 })
const get = async (from: Service, token: string, path = '/user?limit=1') =>
  (await from.call('GET', path, { token })).status
const patch = ({ id }: User, json: object) => call('PATCH', `/user/${id}`, { json })

/** Both servers know the caller; then something is done, and both refuse within a second. */
async function expectEnd(token: string, change: () => Promise<unknown>): Promise<void> {
  for (const server of servers) expect(await get(server, token)).toBe(200)
  await change()
  const changedAt = performance.now()
  for (const server of servers)
    await until('the token to be refused', async () => {
      const askedAt = performance.now()
      const status = await get(server, token)
      if (status !== 401) expect(askedAt - changedAt).toBeLessThan(1_000)
      return status === 401
    })
}

describe('a token is refused on every server, within a second, once its user', () => {
  it('is blocked, and is not taken again when the user is unblocked', async () => {
    const me = await makeUser()
    const token = await tokenOf(me.username)
    await expectEnd(token, () => patch(me, { status: 'BLOCKED' }))
    await patch(me, { status: 'ACTIVE' })
    const later = await laterToken(me.username)
    for (const server of servers) {
      await until('the user to be let in', async () => (await get(server, later)) === 200)
      expect(await get(server, token)).toBe(401)
    }
  })

  it('has a new password', async () => {
    const me = await makeUser()
    await expectEnd(await tokenOf(me.username), () => patch(me, { password: 'another-password' }))
    const later = await laterToken(me.username)
    for (const server of servers) expect(await get(server, later)).toBe(200)
  })

  it('is erased, blocked before or not', async () => {
    for (const status of ['ACTIVE', 'BLOCKED']) {
      const me = await makeUser()
      const token = await tokenOf(me.username, { 'cognito:groups': ['admins'] })
      await expectEnd(token, async () => {
        await patch(me, { status })
        await call('DELETE', `/user/${me.id}`)
      })
      // One that has nothing in its memory looks for itself.
      expect(await get(await startService({ env, beside: first }), token)).toBe(401)
    }
  })

  it('is renamed, and the next owner of the name has nothing of it', async () => {
    const me = await makeUser()
    const token = await tokenOf(me.username)
    await expectEnd(token, () => patch(me, { username: uniqueName() }))
    const next = await makeUser({ username: me.username })
    for (const server of servers) expect(await get(server, token, `/user/${next.id}`)).toBe(401)
    const later = await laterToken(me.username)
    const own = async (server: Service) =>
      (await server.call('PATCH', `/user/${next.id}`, { token: later, json: { name: 'Next' } })).status
    for (const server of servers) await until('the name to count', async () => (await own(server)) === 200)
  })
})

describe('a token', () => {
  it('that was refreshed is as old as the sign-in it goes back to', async () => {
    const me = await makeUser()
    await patch(me, { password: 'another-password' })
    const times = { auth_time: seconds() - 60, iat: seconds() + 2 }
    expect(await get(first, await tokenOf(me.username, times))).toBe(401)
    expect(await get(first, await tokenOf(me.username, { ...times, auth_time: seconds() + 2 }))).toBe(200)
  })

  it('of the very second of the change counts as from before it', async () => {
    const me = await makeUser()
    await patch(me, { password: 'another-password' })
    const { rows } = await first.connections.db.query((queries) =>
      queries.execute<{ at: string }>(
        `SELECT floor(extract(epoch FROM sessions_valid_from)) AS at FROM users WHERE id = '${me.id}'`,
      ),
    )
    const at = Number(rows[0]?.at)
    expect(await get(first, await tokenOf(me.username, { iat: at }))).toBe(401)
    expect(await get(first, await tokenOf(me.username, { iat: at + 1 }))).toBe(200)
  })

  it('that does not tell its age counts as old, but only where there is something to be older than', async () => {
    const me = await makeUser()
    const token = await tokenOf(me.username, { iat: undefined })
    expect(await get(first, token)).toBe(200)
    await expectEnd(token, () => patch(me, { password: 'another-password' }))
    for (const iat of ['soon', null, {}, -1])
      expect(await get(first, await tokenOf(me.username, { iat }))).toBe(401)
  })

  it('of a name that nobody has is told from that of the user who takes it, at once', async () => {
    const username = uniqueName()
    const token = await tokenOf(username)
    for (const server of servers) expect(await get(server, token)).toBe(200)
    await expectEnd(token, () => makeUser({ username, status: 'BLOCKED' }))
  })
})

it('who asks is known from the cache: the database is not asked about people whom it knows', async () => {
  const { cache } = first.connections
  const me = await makeUser()
  const unknown = uniqueName()
  for (const name of [me.username, unknown]) {
    expect(await get(first, await tokenOf(name))).toBe(200)
    const place = await cache.read(namePlace(fold(name)))
    expect(place.kind).toBe('hit')
    expect(place.kind === 'hit' && place.entry.toString()).not.toMatch(/argon2|password/)
  }
  await patch(me, { name: 'Ada' })
  expect((await cache.read(namePlace(fold(me.username)))).kind).toBe('miss')
})

it('what a write that died could not remove of a username is removed by another server', async () => {
  const { cache, db } = first.connections
  const me = await makeUser()
  const place = namePlace(fold(me.username))
  expect(await get(first, await tokenOf(me.username))).toBe(200)
  expect((await cache.read(place)).kind).toBe('hit')
  await db.transaction((queries) => cache.note(queries, me.id, [fold(me.username)]))
  await until('the place to be empty', async () => (await cache.read(place)).kind === 'miss')
})

it('a caller is not remembered as from before a block that came during the look-up', async () => {
  const { connections } = first
  const me = await makeUser()
  const cache = {
    ...connections.cache,
    read: async (place: string) => {
      await patch(me, { status: 'BLOCKED' })
      return connections.cache.read(place)
    },
  }
  const signedInAtMs = Date.now() - 60_000
  const claims = { username: me.username, groups: [], scopes: [], signedInAtMs }
  expect(await createCallerLookup({ ...connections, cache }).find(claims)).toBeUndefined()
  expect(await get(second, await tokenOf(me.username))).toBe(401)
})
