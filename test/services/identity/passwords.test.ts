// Password hashes: every accepted kind is checked against another implementation, and others are rejected.
import { describe, expect, it } from 'vitest'
import { preparePassword } from '../../../src/model/password.ts'
import { parsePasswordHash } from '../../../src/model/password-hash.ts'
import type { User } from '../../../src/model/user.ts'
import {
  hashPassword,
  shouldRenew,
  unknownUserHash,
  verifyPassword,
} from '../../../src/services/identity/passwords.ts'
import {
  argon2,
  bcrypt,
  digest,
  firebase,
  foreignHashes,
  foreignPassword,
  pbkdf2,
  salt,
  scrypt,
} from '../../support/password-hashes.ts'
import { startService, uniqueName } from '../../support/service.ts'

const password = foreignPassword
const others = foreignHashes
const verify = (hash: string, tried: string = password) =>
  verifyPassword(hash, tried, { share: 'test', startUntil: Number.POSITIVE_INFINITY })

it('the example of github.com/firebase/scrypt matches its password', async () => {
  const hash = firebase(
    'ln=14,r=8,p=1,s=Bw',
    '$42xEC+ixf3L2lw$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ',
  )
  expect(await verify(hash, 'user1password')).toBe('user1password')
  expect(await verify(hash, 'user2password')).toBeUndefined()
})

describe.each(others)('%s', (_, hash) => {
  it('is accepted, matches the right password only, and needs renewal', async () => {
    expect(parsePasswordHash(hash)).toBeTypeOf('object')
    expect(await verify(hash)).toBe(password)
    for (const wrong of ['', 'correct horse', `${password} `, password.toUpperCase()])
      expect(await verify(hash, wrong), wrong).toBeUndefined()
    expect(shouldRenew(hash, password)).toBe(true)
  })
})

describe('our own hashes', () => {
  it('have the current parameters, match, and need no renewal', async () => {
    const hash = await hashPassword('test', password)
    expect(hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    expect(parsePasswordHash(hash)).toBeTypeOf('object')
    expect(shouldRenew(hash, password)).toBe(false)
    expect(await verify(hash)).toBe(password)
    expect(await verify(hash, `${password}.`)).toBeUndefined()
  })
})

describe('the hash for unknown users', () => {
  it('has the current parameters, and matches no password', async () => {
    expect(shouldRenew(unknownUserHash, password)).toBe(false)
    for (const guess of ['', password]) expect(await verify(unknownUserHash, guess)).toBeUndefined()
  })
})

// Every accepted hash can be checked, even with the most extreme parameters; else its user's sign-in would fail.
it.each([
  argon2([8, 1, 1]),
  argon2([131_072, 3, 16]),
  argon2([19_660, 20, 1]),
  bcrypt('04'),
  bcrypt('13'),
  scrypt([1, 1, 1]),
  scrypt([15, 1, 16]),
  scrypt([17, 8, 1]),
  scrypt([10, 32, 16]),
  pbkdf2(1),
  pbkdf2(2_000_000),
  pbkdf2(800_000).replace('256', '512'),
  pbkdf2(2_000_000, `$${salt}$${'A'.repeat(84)}`).replace('256', '1'),
  firebase('ln=17,r=8,p=1,s='),
  firebase('ln=1,r=1,p=1,s=Bw'),
])('%s is accepted, and can be checked', async (hash) => {
  expect(parsePasswordHash(hash)).toBeTypeOf('object')
  expect(await verify(hash)).toBeUndefined()
})

describe('unused bits in the base64 of a hash', () => {
  const [, hash] = others.find(([name]) => name === 'bcrypt, $2b$') ?? others[0]

  it('are ignored in a bcrypt hash', async () => {
    // The salt ends with `e`, whose four last bits are clear, and the digest with `2`, whose two last are.
    expect([hash.charAt(28), hash.at(-1)]).toEqual(['e', '2'])
    const spelled = (salt: string, digest: string) => hash.slice(0, 28) + salt + hash.slice(29, 59) + digest
    for (const [salt, digest] of [
      ['f', '2'],
      ['t', '5'],
      ['e', '3'],
    ] as const) {
      expect(await verify(spelled(salt, digest)), `${salt} ${digest}`).toBe(password)
      expect(await verify(spelled(salt, digest), 'wrong'), `${salt} ${digest}`).toBeUndefined()
    }
    expect(await verify(spelled('u', '2'))).toBeUndefined()
    expect(await verify(spelled('e', '6'))).toBeUndefined()
  })

  it.each([
    ['Argon2', argon2([4096, 3, 1], `$${salt.slice(0, -1)}h$${digest}`), 'salt'],
    ['Argon2', argon2([4096, 3, 1], `$${salt}$${digest.slice(0, -1)}t`), 'digest'],
    ['scrypt', scrypt([10, 8, 1], `$${salt.slice(0, -1)}h$${digest}`), 'salt'],
    ['PBKDF2', pbkdf2(1000, `$${salt}$${digest.slice(0, -1)}t`), 'digest'],
  ])('must be clear in a PHC string: %s, %s', (_, phc, part) => {
    expect(parsePasswordHash(phc)).toMatch(new RegExp(`${part} in base64`))
  })
})

describe('a password is prepared with the OpaqueString profile of RFC 8265', () => {
  it.each([
    // The examples of section 4.3.
    ['correct horse battery staple', 'correct horse battery staple'],
    ['Correct Horse Battery Staple', 'Correct Horse Battery Staple'],
    ['πßå', 'πßå'],
    ['Jack of ♦s', 'Jack of ♦s'],
    ['foo\u1680bar', 'foo bar'],
    // Every other kind of space, a decomposed letter, marks out of order, and what NFKC would change.
    ['a\u00a0b\u2000c\u202fd\u205fe\u3000f', 'a b c d e f'],
    ['Zoe\u0308', 'Zo\u00eb'],
    ['q\u0307\u0323', 'q\u0323\u0307'],
    ['ﬁ①Å', 'ﬁ①\u00c5'],
    ['\u1112\u1161\u11ab', '\ud55c'],
    ['\u{1f469}\u200d\u{1f4bb}\u2764\ufe0f', '\u{1f469}\u200d\u{1f4bb}\u2764\ufe0f'],
  ])('%s', (typed, prepared) => {
    expect(preparePassword(typed)).toBe(prepared)
    expect(preparePassword(prepared)).toBe(prepared)
  })

  it('before its characters are counted, and rejected with control characters', async () => {
    const { makeUser, call } = await startService()
    const { id, username } = await makeUser()
    const answers = async (given: string) => [
      (await call('POST', '/user', { json: { username: uniqueName(), password: given } })).status,
      (await call('PUT', `/user/${id}`, { json: { username, password: given } })).status,
      (await call('PATCH', `/user/${id}`, { json: { password: given } })).status,
    ]
    const [taken, refused] = [
      [201, 200, 200],
      [400, 400, 400],
    ]
    expect(await answers('e\u0301'.repeat(128))).toEqual(taken)
    expect(await answers('e\u0301'.repeat(129))).toEqual(refused)
    expect(await answers('e\u0301'.repeat(4))).toEqual(refused)
    for (const character of ['\t', '\n', '\u007f', '\u0085'])
      expect(await answers(`a-good${character}password`)).toEqual(refused)
  })
})

describe('POST /user', () => {
  type Problem = { errors?: { pointer: string; message: string }[] }
  it('accepts a hash in place of a password from an administrator, and never returns it', async () => {
    const { makeUser, call, log, tokens } = await startService()
    for (const [, hash] of others) {
      const user = await makeUser({ password: undefined, password_hash: hash })
      const seen = [user, (await call<User>('GET', `/user/${user.id}`)).body, log]
      expect(JSON.stringify(seen)).not.toContain(hash)
    }
    const json = { username: uniqueName(), password_hash: others[0][1] }
    expect((await call('POST', '/user', { token: tokens.reader, json })).status).toBe(403)
  })

  it('accepts a password or a hash but not both, and names the fault of a hash', async () => {
    const { call } = await startService()
    const faults = async (fields: object) => {
      const { status, body, text } = await call<Problem>('POST', '/user', {
        json: { username: uniqueName(), ...fields },
      })
      expect(status).toBe(400)
      expect(text).not.toContain('hunter2')
      return body.errors
    }
    expect(await faults({})).toEqual([{ pointer: '/password', message: 'is required' }])
    expect(await faults({ password: 'hunter2-hunter2', password_hash: others[0][1] })).toEqual([
      { pointer: '/password_hash', message: 'must not be combined with password; send one of the two' },
    ])
    expect(await faults({ password_hash: 'hunter2' })).toEqual([
      { pointer: '/password_hash', message: expect.stringContaining('must be an Argon2') },
    ])
    expect(await faults({ username: 'a b', nick: 1 })).toHaveLength(3)
    for (const password_hash of [null, 7, {}])
      expect(await faults({ password_hash })).toContainEqual({
        pointer: '/password_hash',
        message: 'must be a string',
      })
  })

  it('rejects a hash in PUT and PATCH', async () => {
    const { makeUser, call } = await startService()
    const { id, username } = await makeUser()
    for (const method of ['PUT', 'PATCH'])
      expect(
        (await call<Problem>(method, `/user/${id}`, { json: { username, password_hash: others[0][1] } })).body
          .errors,
      ).toEqual([{ pointer: '/password_hash', message: 'is not a known field; remove it' }])
  })
})
