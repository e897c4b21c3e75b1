// Tokens end early when their user is blocked, renamed, erased, or gets a new password. Two servers share one PostgreSQL
// and one Redis.
import { eq } from 'drizzle-orm'
import { describe, expect, it } from 'vitest'
import { usernameKey } from '../../../src/connection/cache/cache.ts'
import { users } from '../../../src/model/tables.ts'
import { fold } from '../../../src/model/text.ts'
import type { User } from '../../../src/model/user.ts'
import { createCallerLookup } from '../../../src/services/identity/callers.ts'
import { noClaims } from '../../support/caller.ts'
import { realServices, type Service, startService, uniqueName } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

const env = realServices()
const first = await startService({ env })
const second = await startService({ env, beside: first })
const { call, issuer, makeUser } = first
const servers = [first, second]

const seconds = () => Math.floor(Date.now() / 1_000)
const tokenOf = (username: string, claims: Record<string, unknown> = {}) =>
  issuer.token({ username, 'cognito:groups': ['readers'], ...claims })
/** Makes a token of a sign-in after the second of the last change. */
const laterToken = (username: string) => tokenOf(username, { iat: seconds() + 2 })
const get = async (from: Service, token: string, path = '/user?limit=1') =>
  (await from.call('GET', path, { token })).status
const patch = ({ id }: User, json: object) => call('PATCH', `/user/${id}`, { json })

/** Makes both servers cache the caller, runs `end`, and expects both to reject the token within a second. */
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

describe('every server rejects a token within a second once its user', () => {
  it('is blocked, and does not accept it again after the unblocking', async () => {
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

  it('is erased, whether blocked before or not', async () => {
    for (const status of ['ACTIVE', 'BLOCKED']) {
      const me = await makeUser()
      const token = await tokenOf(me.username, { 'cognito:groups': ['admins'] })
      await expectEnd(token, async () => {
        await patch(me, { status })
        await call('DELETE', `/user/${me.id}`)
      })
      // A server without the name in memory looks it up.
      expect(await get(await startService({ env, beside: first }), token)).toBe(401)
    }
  })

  it('is renamed, also for the next owner of the name', async () => {
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

/** Milliseconds by which sessions have outlived their end, as a server logged them. */
const outlived = ({ log }: Service) =>
  log.flatMap(({ message, fields }) => (message === 'session ended' ? [Number(fields.SessionOutlived)] : []))

describe('the time that a session outlives its end is logged', () => {
  it('by each server that accepted it, once for each block or change of password, and never too low', async () => {
    for (const json of [{ status: 'BLOCKED' }, { password: 'another-password' }]) {
      const me = await makeUser()
      const token = await tokenOf(me.username)
      const before = servers.map((server) => outlived(server).length)
      for (const server of servers) expect(await get(server, token)).toBe(200)
      await patch(me, json)
      const answeredAt = Date.now()
      for (const [at, server] of servers.entries()) {
        let lastAskedAt = 0
        await until('the token to be refused', async () => {
          const askedAt = Date.now()
          const status = await get(server, token)
          if (status === 200) lastAskedAt = askedAt
          return status === 401
        })
        for (let more = 0; more < 3; more++) expect(await get(server, token)).toBe(401)
        const counted = outlived(server).slice(before[at])
        expect(counted).toHaveLength(1)
        expect(counted[0]).toBeGreaterThanOrEqual(Math.max(0, lastAskedAt - answeredAt))
        expect(counted[0]).toBeLessThan(1_000)
      }
    }
  })

  it('as zero without a later request, even with a slow clock', async () => {
    const me = await makeUser()
    const token = await tokenOf(me.username)
    expect(await get(first, token)).toBe(200)
    const before = outlived(first).length
    await patch(me, { status: 'BLOCKED' })
    const { cache, db } = first.connections
    const ahead = new Date(Date.now() + 60_000)
    await db.query((queries) =>
      queries.update(users).set({ sessionsValidFrom: ahead }).where(eq(users.id, me.id)),
    )
    await cache.invalidate(me.id, undefined, [fold(me.username)])
    await until('the token to be refused', async () => (await get(first, token)) === 401)
    expect(outlived(first).slice(before)).toEqual([0])
  })

  it('and excludes sessions that began after it', async () => {
    const me = await makeUser()
    const [token, later] = [await tokenOf(me.username), await laterToken(me.username)]
    expect(await get(first, token)).toBe(200)
    await patch(me, { password: 'another-password' })
    await until('the token to be refused', async () => (await get(first, token)) === 401)
    const before = outlived(first).length
    expect(await get(first, later)).toBe(200)
    expect(await get(first, token)).toBe(401)
    expect(outlived(first)).toHaveLength(before)
  })

  it('but not by a server that never accepted it, and never for machines', async () => {
    const me = await makeUser({ status: 'BLOCKED' })
    const before = servers.map((server) => outlived(server).length)
    const machine = await issuer.machineToken('users/read')
    for (const server of servers) {
      expect(await get(server, await tokenOf(me.username))).toBe(401)
      expect(await get(server, machine)).toBe(200)
    }
    expect(servers.map((server) => outlived(server).length)).toEqual(before)
  })
})

describe('a token', () => {
  it('that was refreshed counts from its original sign-in', async () => {
    const me = await makeUser()
    await patch(me, { password: 'another-password' })
    const times = { auth_time: seconds() - 60, iat: seconds() + 2 }
    expect(await get(first, await tokenOf(me.username, times))).toBe(401)
    expect(await get(first, await tokenOf(me.username, { ...times, auth_time: seconds() + 2 }))).toBe(200)
  })

  it('from the second of the change counts as older than it', async () => {
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

  it('without a sign-in time counts as older than any change', async () => {
    const me = await makeUser()
    const token = await tokenOf(me.username, { iat: undefined })
    expect(await get(first, token)).toBe(200)
    await expectEnd(token, () => patch(me, { password: 'another-password' }))
    for (const iat of ['soon', null, {}, -1])
      expect(await get(first, await tokenOf(me.username, { iat }))).toBe(401)
  })

  it('of an unused name does not identify the user who takes the name', async () => {
    const username = uniqueName()
    const token = await tokenOf(username)
    for (const server of servers) expect(await get(server, token)).toBe(200)
    await expectEnd(token, () => makeUser({ username, status: 'BLOCKED' }))
  })
})

it('callers are found in the cache, without a query to the database', async () => {
  const { cache } = first.connections
  const me = await makeUser()
  const unknown = uniqueName()
  for (const name of [me.username, unknown]) {
    expect(await get(first, await tokenOf(name))).toBe(200)
    const place = await cache.read(usernameKey(fold(name)))
    expect(place.kind).toBe('hit')
    expect(place.kind === 'hit' && place.entry.toString()).not.toMatch(/argon2|password/)
  }
  await patch(me, { name: 'Ada' })
  expect((await cache.read(usernameKey(fold(me.username)))).kind).toBe('miss')
})

it('another server completes the invalidation of a username after a crash', async () => {
  const { cache, db } = first.connections
  const me = await makeUser()
  const place = usernameKey(fold(me.username))
  expect(await get(first, await tokenOf(me.username))).toBe(200)
  expect((await cache.read(place)).kind).toBe('hit')
  await db.transaction((queries) => cache.recordInvalidation(queries, me.id, [fold(me.username)]))
  await until('the place to be empty', async () => (await cache.read(place)).kind === 'miss')
})

it('a block during the look-up of a caller takes effect', async () => {
  const { connections } = first
  const me = await makeUser()
  const cache = {
    ...connections.cache,
    read: async (place: string) => {
      await patch(me, { status: 'BLOCKED' })
      return connections.cache.read(place)
    },
  }
  const claims = { ...noClaims, username: me.username, signedInAtMs: Date.now() - 60_000 }
  expect(await createCallerLookup({ ...connections, cache }).find(claims)).toBeUndefined()
  expect(await get(second, await tokenOf(me.username))).toBe(401)
})
