// The rules of single fields: usernames, e-mail contacts, external ids, attributes and missing passwords.
import { describe, expect, it } from 'vitest'
import { checkPassword } from '../../../src/services/identity/check-password.ts'
import { startService, uniqueName } from '../../support/service.ts'

const service = await startService()
const { call, makeUser, tokens } = service
type Problem = { errors?: { pointer: string; message: string }[] }

/** The faults of a new user with these fields; none if it is accepted. */
async function faults(fields: object): Promise<[pointer: string, message: string][]> {
  const json = { username: uniqueName(), password: null, ...fields }
  const { status, body } = await call<Problem>('POST', '/user', { json })
  expect([201, 400]).toContain(status)
  return (body.errors ?? []).map(({ pointer, message }) => [pointer, message])
}

const patch = (id: string, json: object, token: string = tokens.admin) =>
  call('PATCH', `/user/${id}`, { json, token })

describe('a username', () => {
  it.each([
    "O'Brien#x",
    'ada+lists@example.com',
    'ada_contoso.com#EXT#@fabrikam.onmicrosoft.com',
    'DOMAIN/ada',
    "a!#$%&'*+/=?^_`{|}~-@example.com",
    `${'ü'.repeat(115)}`,
  ])('may be %s', async (name) => {
    const username = `${name}${uniqueName('')}`
    const user = await makeUser({ username })
    expect(user.username).toBe(username)
    const { body } = await call<{ items: unknown[] }>('GET', `/user?username=${encodeURIComponent(username)}`)
    expect(body.items).toEqual([user])
  })

  it('has at most 128 characters, of any width', async () => {
    const username = `${uniqueName('')}${'𐐨'.repeat(115)}`.slice(0, 243)
    expect([...username]).toHaveLength(128)
    expect((await makeUser({ username })).username).toBe(username)
    expect(await faults({ username: `${username}x` })).toEqual([['/username', 'must be 1 to 128 characters']])
  })

  it.each([
    'a b',
    'a\\b',
    'a"b',
    'a,b',
    'a;b',
    'a:b',
    '<a>',
    '(a)',
    '[a]',
    'a\u200bb',
    '\u0301a',
    'a\nb',
    '',
  ])('cannot be %j', async (username) => {
    expect((await faults({ username })).map(([pointer]) => pointer)).toEqual(['/username'])
  })
})

describe('a contact of type EMAIL', () => {
  it.each([
    'ada@example.com',
    "ada.o'brien+x@mail.example.co.uk",
    'root@localhost',
    '用户@例子.公司',
    'δοκιμή@παράδειγμα.δοκιμή',
    'उपयोग@उदाहरण.भारत',
  ])('may be %s', async (value) => {
    const { contacts } = await makeUser({ contacts: [{ contact_type: 'EMAIL', value }] })
    expect(contacts).toEqual([{ id: expect.any(String), contact_type: 'EMAIL', value }])
  })

  it.each([
    'ada',
    '@example.com',
    'ada@',
    'ada@-x.com',
    'ada@x..com',
    'ada@x.com,bob@x.com',
    'Ada <ada@x.com>',
    ' ada@x.com',
    'ada@x.com\n',
    'ada@@x.com',
    `ada@${'x'.repeat(64)}.com`,
    `${'x'.repeat(65)}@example.com`,
    `${'x'.repeat(64)}@${'y.'.repeat(94)}com`,
  ])('cannot be %j', async (value) => {
    const contacts = [
      { contact_type: 'WORK', value },
      { contact_type: 'EMAIL', value },
    ]
    expect(await faults({ contacts })).toEqual([
      ['/contacts/1/value', 'must be one e-mail address of at most 254 characters, such as ada@example.com'],
    ])
  })

  it('is found by search and by its exact value', async () => {
    const value = `${uniqueName('ada')}@example.com`
    const user = await makeUser({ contacts: [{ contact_type: 'EMAIL', value }] })
    for (const query of [
      `contact=${value}&contact_type=EMAIL`,
      `search=${value.toUpperCase()}`,
      `search=${value.slice(4, 16)}`,
    ])
      expect((await call<{ items: unknown[] }>('GET', `/user?${query}`)).body.items).toEqual([user])
  })
})

describe('an external id', () => {
  it('is kept exactly, found by search, and cleared by null or by PUT without it', async () => {
    const external_id = ` ${uniqueName('Auth0|é')} `
    const user = await makeUser({ external_id })
    expect(user.external_id).toBe(external_id)
    const search = `search=${encodeURIComponent(external_id.trim())}`
    expect((await call<{ items: unknown[] }>('GET', `/user?${search}`)).body.items).toEqual([user])

    expect((await patch(user.id, { name: 'Ada' })).body.external_id).toBe(external_id)
    expect((await patch(user.id, { external_id: null })).body.external_id).toBeNull()
    expect((await call<{ items: unknown[] }>('GET', `/user?${search}`)).body.items).toEqual([])
    expect((await patch(user.id, { external_id })).body.external_id).toBe(external_id)
    const replaced = await call('PUT', `/user/${user.id}`, { json: { username: user.username } })
    expect(replaced.body.external_id).toBeNull()
    expect((await call('GET', `/user/${user.id}`)).body).toEqual(replaced.body)
  })

  it('is unique where it is set, and a conflict names the field', async () => {
    const external_id = uniqueName('ext')
    await makeUser({ external_id })
    const other = await makeUser({ external_id: external_id.toUpperCase() })
    const conflict = {
      status: 409,
      body: { errors: [{ pointer: '/external_id', message: 'is already taken' }] },
    }
    const json = { username: uniqueName(), password: null, external_id }
    expect(await call('POST', '/user', { json })).toMatchObject(conflict)
    expect(await patch(other.id, { external_id })).toMatchObject(conflict)
    expect(await call('PUT', `/user/${other.id}`, { json: { ...other, external_id } })).toMatchObject(
      conflict,
    )
    expect((await call('GET', `/user/${other.id}`)).body).toEqual(other)
  })

  it('goes to one of many users who are created with it at once', async () => {
    const external_id = uniqueName('ext')
    const answers = await Promise.all(
      Array.from({ length: 8 }, () =>
        call('POST', '/user', { json: { username: uniqueName(), password: null, external_id } }),
      ),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array(7).fill(409)])
  })

  it('has 1 to 255 characters, and no control characters', async () => {
    const prefix = uniqueName('')
    expect(await faults({ external_id: prefix + '😀'.repeat(255 - prefix.length) })).toEqual([])
    for (const external_id of ['', '😀'.repeat(256)])
      expect(await faults({ external_id })).toEqual([['/external_id', 'must be 1 to 255 characters']])
    for (const external_id of ['a\tb', 'a\u0085b', 'a\u007f'])
      expect(await faults({ external_id })).toEqual([
        ['/external_id', 'must not contain control characters, such as tabs and line breaks'],
      ])
    expect(await faults({ external_id: 7 })).toEqual([['/external_id', 'must be a string']])
  })
})

describe('a user without a password', () => {
  it('is created with null, and cannot sign in until it is set', async () => {
    const username = uniqueName()
    const { body: user } = await call('POST', '/user', { json: { username, password: null } })
    const check = (password: string) => checkPassword(service.connections, { username, password })
    for (const password of ['', 'null', 'a-good-password']) expect(await check(password)).toBeUndefined()
    expect((await patch(user.id, { password: 'a-good-password' })).status).toBe(200)
    expect(await check('a-good-password')).toMatchObject({ id: user.id })
  })

  it.each(['PATCH', 'PUT'])('is made by an administrator’s %s with null', async (method) => {
    const { id, username } = await makeUser({ password: 'a-good-password' })
    const answer = await call(method, `/user/${id}`, { json: { username, password: null } })
    expect(answer.status).toBe(200)
    expect(answer.text).not.toContain('password')
    const credentials = { username, password: 'a-good-password' }
    expect(await checkPassword(service.connections, credentials)).toBeUndefined()
  })

  it('needs an explicit null, without a hash or a current password', async () => {
    const hash = '$2b$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234'
    expect(await faults({ password: undefined })).toEqual([['/password', 'is required']])
    expect(await faults({ password_hash: hash })).toEqual([
      ['/password_hash', 'must not be combined with password; send one of the two'],
    ])
    const { id } = await makeUser({ password: 'a-good-password' })
    expect(await patch(id, { password: null, current_password: 'a-good-password' })).toMatchObject({
      status: 400,
      body: { errors: [{ pointer: '/current_password' }] },
    })
  })

  it('cannot set one with an earlier session, because no current password is right', async () => {
    const { id, username } = await makeUser({ password: null })
    const token = await service.issuer.token({ username })
    for (const current_password of ['x', 'null', 'a-good-password'])
      expect(await patch(id, { password: 'a-good-password', current_password }, token)).toMatchObject({
        status: 400,
        body: { errors: [{ pointer: '/current_password' }] },
      })
  })
})
