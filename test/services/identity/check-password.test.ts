// Password checks: all refusals look the same, outdated hashes are renewed, and throttling locks no user out.
import { eq } from 'drizzle-orm'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { Database } from '../../../src/connection/postgres/database.ts'
import { users } from '../../../src/model/tables.ts'
import type { User } from '../../../src/model/user.ts'
import { checkPassword } from '../../../src/services/identity/check-password.ts'
import { hashPassword } from '../../../src/services/identity/passwords.ts'
import { startService, uniqueName } from '../../support/service.ts'

// The real library, with its checks counted, because they determine the time.
const verified = vi.hoisted(() => ({ hashes: [] as string[] }))
vi.mock('@node-rs/argon2', async (original) => {
  const real = await original<typeof import('@node-rs/argon2')>()
  return {
    ...real,
    verify: (hash: string, password: string) => {
      verified.hashes.push(hash)
      return real.verify(hash, password)
    },
  }
})
beforeEach(() => {
  verified.hashes = []
})

const service = await startService()
const { makeUser, call, connections } = service
const password = 'a-good-password'
const check = async (username: string, tried = password, source?: string, ctx = connections) => {
  const attempt = { username, password: tried, ...(source !== undefined && { source }) }
  const user = await checkPassword(ctx, attempt)
  return user && { id: user.id, username: user.username }
}
const rowOf = async (id: string) => {
  const [row] = await connections.db.query((queries) => queries.select().from(users).where(eq(users.id, id)))
  if (!row) throw new Error('there is no such user')
  return row
}
// bcrypt of `a-good-password`, made by Python's bcrypt 4.0.1.
const old = '$2b$04$pTuPDDkSMmJ17wSlorNh0.uKlemNGWykQnKqPedLIyz8QMzRK/0Ly'

/** Runs `work` before the nth query of a check. */
const meanwhile = (nth: number, work: () => Promise<unknown>): typeof connections => {
  let queries = 0
  const db: Database = {
    ...connections.db,
    of: () => db,
    query: async (query) => {
      if (++queries === nth) await work()
      return connections.db.query(query)
    },
  }
  return { ...connections, db }
}

describe('a password check', () => {
  it('accepts the right password for every spelling of the username', async () => {
    const user = await makeUser({ username: uniqueName('Straße') })
    const found = { id: user.id, username: user.username }
    for (const name of [user.username, user.username.toUpperCase(), user.username.normalize('NFD')])
      expect(await check(name)).toEqual(found)
  })

  it('refuses a wrong password, a blocked user and an unknown one after one check of the same cost each', async () => {
    const user = await makeUser()
    const blocked = await makeUser({ status: 'BLOCKED' })
    expect(await check(user.username, `${password}.`)).toBeUndefined()
    expect(await check(blocked.username)).toBeUndefined()
    expect(await check(blocked.username, 'wrong')).toBeUndefined()
    expect(await check(uniqueName())).toBeUndefined()
    expect(verified.hashes).toHaveLength(4)
    for (const hash of verified.hashes)
      expect(hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$.{22}\$.{43}$/)
  })

  it('refuses impossible names and passwords, after a check too', async () => {
    const { username } = await makeUser()
    const tries = [
      ['', password],
      ['a\0b', password],
      ['\ud800', password],
      ['x'.repeat(1_000_000), password],
      [username, ''],
      [username, '\0'],
      [username, 'x'.repeat(1_000_000)],
    ] as const
    const answers = await Promise.all(tries.map(([name, tried]) => check(name, tried)))
    expect(answers).toEqual(tries.map(() => undefined))
    expect(verified.hashes).toHaveLength(tries.length)
  })

  it('respects a concurrent block, rename, new password or erasure', async () => {
    const changes = [
      { status: 'BLOCKED' },
      { username: uniqueName() },
      { password: 'another-password' },
      undefined,
    ]
    for (const json of changes) {
      const user = await makeUser()
      const ctx = meanwhile(2, () => call(json ? 'PATCH' : 'DELETE', `/user/${user.id}`, { json }))
      expect(await check(user.username, password, undefined, ctx)).toBeUndefined()
    }
  })
})

describe('another system’s hash', () => {
  it('is renewed at the first successful check, without changing the user’s version', async () => {
    const { id, username } = await makeUser({ password: undefined, password_hash: old })
    expect(await check(username, 'wrong')).toBeUndefined()
    expect((await rowOf(id)).passwordHash).toBe(old)

    expect(await check(username)).toEqual({ id, username })
    const { passwordHash, ...renewed } = await rowOf(id)
    expect(passwordHash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    expect(renewed).toMatchObject({ version: 1, sessionsValidFrom: null })
    expect(await check(username)).toEqual({ id, username })
    expect((await rowOf(id)).passwordHash).toBe(passwordHash)
  })

  it('does not replace a concurrently changed password when renewed', async () => {
    const { id, username } = await makeUser({ password: undefined, password_hash: old })
    const ctx = meanwhile(3, () => call('PATCH', `/user/${id}`, { json: { password: 'another-password' } }))
    expect(await check(username, password, undefined, ctx)).toEqual({ id, username })
    expect(await check(username)).toBeUndefined()
    expect(await check(username, 'another-password')).toEqual({ id, username })
  })

  it('is renewed by concurrent successful checks, which all succeed', async () => {
    const { id, username } = await makeUser({ password: undefined, password_hash: old })
    const answers = await Promise.all(Array.from({ length: 5 }, () => check(username)))
    expect(answers).toEqual(answers.map(() => ({ id, username })))
    expect((await rowOf(id)).passwordHash).toMatch(/^\$argon2id\$/)
    expect(await check(username)).toEqual({ id, username })
  })

  it('is kept if the database cannot store a new one, and the check succeeds', async () => {
    const { id, username } = await makeUser({ password: undefined, password_hash: old })
    const ctx = meanwhile(3, () => Promise.reject(new Error('away')))
    expect(await check(username, password, undefined, ctx)).toEqual({ id, username })
    expect((await rowOf(id)).passwordHash).toBe(old)
  })
})

describe('a bcrypt hash, which covers 72 bytes only', () => {
  // Made by Python's bcrypt 4.0.1 of a passphrase of 92 bytes, and of its first 72 and 71.
  const passphrase =
    'correct horse battery staple and the mouse that ran up the clock when it struck one, a long!'
  const hashes = {
    92: '$2b$04$wmA1U4xZYi6UTGacuIJTten/J4PGAgQhug9gRoAvPYU29Wz/iyA.e',
    72: '$2b$04$rWXSNuBEo8aoa6g9sQYOPu8gnZP0oy1c5GBJblOiASLH1BvQ1iEt6',
    71: '$2b$04$x.Ye/dtXx8CelyzvXiyFxuqv1a/au7tOqzwRhHoOZzUScSdYRweF2',
  }

  it.each([92, 72] as const)('is kept as it is for a passphrase of %i bytes', async (length) => {
    const own = passphrase.slice(0, length)
    const { id, username } = await makeUser({ password: undefined, password_hash: hashes[length] })
    // Bytes that bcrypt ignores may be wrong, so they must not become part of the password.
    for (const tried of [`${own.slice(0, 72)}wrong`, own, passphrase.slice(0, 72), own])
      expect(await check(username, tried), tried).toEqual({ id, username })
    expect(await check(username, own.slice(0, 71))).toBeUndefined()
    expect((await rowOf(id)).passwordHash).toBe(hashes[length])
  })

  it('is renewed for a passphrase that it covers completely', async () => {
    const { id, username } = await makeUser({ password: undefined, password_hash: hashes[71] })
    expect(await check(username, `${passphrase.slice(0, 71)}.`)).toBeUndefined()
    expect(await check(username, passphrase.slice(0, 71))).toEqual({ id, username })
    expect((await rowOf(id)).passwordHash).toMatch(/^\$argon2id\$/)
  })
})

describe('the spelling of a password', () => {
  const composed = 'Gr\u00fc\u00dfe an Zo\u00eb'
  const decomposed = composed.normalize('NFD').replace(' ', '\u00a0')

  it('does not matter, neither when set nor when checked', async () => {
    const [one, other] = await Promise.all([
      makeUser({ password: composed }),
      makeUser({ password: decomposed }),
    ])
    for (const { id, username } of [one, other])
      for (const tried of [decomposed, composed])
        expect(await check(username, tried)).toEqual({ id, username })
    const token = await service.issuer.token({ username: one.username })
    const json = { password: 'another-password', current_password: decomposed }
    expect((await call('PATCH', `/user/${one.id}`, { token, json })).status).toBe(200)
  })

  it('may be that of an older hash, which is then renewed so that any spelling matches', async () => {
    // Of the decomposed spelling, by Python's bcrypt 4.0.1 and by Argon2 with today's parameters.
    const imported = '$2b$04$k8rv3yftT3SmYhp2v7t0uewPLuwb7N6r258bcKmhHk9XtedeQ4xqa'
    for (const password_hash of [imported, await hashPassword('test', decomposed)]) {
      const { id, username } = await makeUser({ password: undefined, password_hash })
      expect(await check(username, composed)).toBeUndefined()
      expect(await check(username, decomposed)).toEqual({ id, username })
      expect((await rowOf(id)).passwordHash).not.toBe(password_hash)
      expect(await check(username, composed)).toEqual({ id, username })
    }
  })

  it('costs the same number of checks for every user', async () => {
    const [user, blocked] = [await makeUser(), await makeUser({ password: composed, status: 'BLOCKED' })]
    for (const name of [user.username, blocked.username, uniqueName()]) {
      verified.hashes = []
      expect(await check(name, decomposed)).toBeUndefined()
      expect(verified.hashes).toHaveLength(2)
    }
  })
})

describe('throttling', () => {
  it('rejects attempts at one name beyond the longest wait, whether the name is known or not', async () => {
    const { username } = await makeUser()
    for (const name of [username, uniqueName()]) {
      const tries = await Promise.allSettled(Array.from({ length: 40 }, () => check(name, 'wrong')))
      const refused = tries.filter((one) => one.status === 'rejected')
      expect(refused.length).toBeGreaterThan(20)
      for (const { reason } of refused) expect(reason).toMatchObject({ code: 'overloaded' })
      expect(verified.hashes.length).toBeLessThan(20)
      verified.hashes = []
    }
  })

  it('of one source does not lock out the user at another source', async () => {
    const { id, username } = await makeUser()
    const attacker = uniqueName('10.0.0')
    const flood = Array.from({ length: 100 }, () => check(username, 'wrong', attacker))
    const tries = Promise.allSettled(flood)
    expect(await check(username, password, uniqueName('192.0.2'))).toEqual({ id, username })
    expect((await tries).filter(({ status }) => status === 'rejected').length).toBeGreaterThan(50)
  })

  it('of all sources does not lock out the user at a source of an earlier sign-in', async () => {
    const { id, username } = await makeUser()
    const home = uniqueName('192.0.2')
    expect(await check(username, password, home)).toEqual({ id, username })
    const flood = Array.from({ length: 40 }, () => check(username, 'wrong', uniqueName('10')))
    const tries = Promise.allSettled(flood)
    await expect(check(username, password, uniqueName('203.0.113'))).rejects.toMatchObject({
      code: 'overloaded',
    })
    expect(await check(username, password, home)).toEqual({ id, username })
    await tries
  })

  it('slows attempts at the own current password, and delays no other user', async () => {
    const [me, other] = [await makeUser(), await makeUser()]
    const guess = async (user: User) =>
      call('PATCH', `/user/${user.id}`, {
        token: await service.issuer.token({ username: user.username }),
        json: { password: 'another-password', current_password: 'wrong' },
        isLast: true,
      })
    const guesses = await Promise.all(Array.from({ length: 30 }, () => guess(me)))
    const statuses = guesses.map(({ status }) => status)
    expect(new Set(statuses)).toEqual(new Set([400, 429]))
    expect(statuses.filter((status) => status === 400).length).toBeLessThan(15)
    expect((await guess(other)).status).toBe(400)
    expect(await check(me.username)).toMatchObject({ id: me.id })
  })
})
