// The endpoints of users as a client sees them: create, read, replace, patch and erase.
import { describe, expect, it } from 'vitest'
import type { User } from '../../../src/model/user.ts'
import { startService, uniqueName } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

const service = await startService()
const { call, makeUser } = service
type Problem = {
  status: number
  errors?: { pointer?: string; parameter?: string; header?: string; message: string }[]
  version?: number
}

const phone = { contact_type: 'PHONE', value: '+44 20 7946 0958' }
const work = { contact_type: 'WORK', value: 'Desk 7' }

describe('POST /user', () => {
  it('answers 201 with the user, its Location and its ETag', async () => {
    const username = uniqueName('Ada')
    const answer = await call('POST', '/user', {
      json: { username, name: 'Ada Lovelace', password: 'a-good-password', contacts: [phone, work] },
    })
    expect(answer.status).toBe(201)
    expect(answer.headers.get('location')).toBe(`/user/${answer.body.id}`)
    expect(answer.headers.get('etag')).toBe('"1"')
    expect(answer.body).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
      avatar: null,
      avatar_url: null,
      username,
      name: 'Ada Lovelace',
      status: 'ACTIVE',
      contacts: [
        { id: expect.any(String), ...phone },
        { id: expect.any(String), ...work },
      ],
      external_id: null,
      attributes: {},
      version: 1,
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      updated_at: answer.body.created_at,
    })
    expect((await call('GET', `/user/${answer.body.id}`)).body).toEqual(answer.body)
  })

  it('gives absent optional fields their defaults', async () => {
    expect(await makeUser()).toMatchObject({ name: null, status: 'ACTIVE', contacts: [], avatar: null })
  })

  it('trims and normalises a username and keeps its case', async () => {
    const name = uniqueName('Zoë')
    const user = await makeUser({ username: `  ${name.normalize('NFD')} ` })
    expect(user.username).toBe(name.normalize('NFC'))
  })

  it('rejects a username that is taken in another case or form, and names the field', async () => {
    const { username } = await makeUser({ username: uniqueName('straße') })
    for (const taken of [
      username,
      username.toUpperCase(),
      username.replace('ß', 'SS'),
      username.normalize('NFD'),
    ]) {
      const answer = await call<Problem>('POST', '/user', {
        json: { username: taken, password: 'a-good-password' },
      })
      expect(answer.status, taken).toBe(409)
      expect(answer.body.errors).toEqual([{ pointer: '/username', message: 'is already taken' }])
    }
  })

  it('reports every fault at once', async () => {
    const answer = await call<Problem>('POST', '/user?x=1', {
      json: {
        username: 'a b',
        status: 'GONE',
        contacts: [{ contact_type: 'FAX', value: '' }],
        nick: 'x',
        __proto: 1,
      },
    })
    expect(answer.status).toBe(400)
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(answer.body.errors?.map(({ pointer, parameter }) => pointer ?? parameter).sort()).toEqual([
      '/__proto',
      '/contacts/0/contact_type',
      '/contacts/0/value',
      '/nick',
      '/password',
      '/status',
      '/username',
      'x',
    ])
  })

  it('never answers, logs or caches a password or its hash', async () => {
    const password = `secret-${uniqueName()}`
    const user = await makeUser({ password })
    const answers = [
      await call('GET', `/user/${user.id}`),
      await call('GET', `/user?username=${user.username}`),
      await call('PATCH', `/user/${user.id}`, { json: { password: `${password}-2` } }),
      await call('PATCH', `/user/${user.id}`, { json: { password, nope: 1 } }),
    ]
    for (const { text } of answers) expect(text).not.toMatch(/password"|argon2|secret-/)
    expect(JSON.stringify(service.log)).not.toMatch(/argon2|secret-/)
    const place = await service.connections.cache.read(user.id)
    expect(JSON.stringify(place.kind === 'hit' ? place.entry.toString() : '')).not.toMatch(
      /argon2|secret-|password/,
    )
  })
})

describe('PUT /user/{id}', () => {
  it('clears what is missing, keeps the password and the status, and counts the version', async () => {
    const user = await makeUser({ name: 'Old', contacts: [phone], status: 'BLOCKED' })
    const hash = await passwordHash(user.id)
    const answer = await call('PUT', `/user/${user.id}`, { json: { username: user.username } })
    expect(answer.status).toBe(200)
    expect(answer.body).toMatchObject({ name: null, contacts: [], status: 'BLOCKED', version: 2 })
    expect(answer.headers.get('etag')).toBe('"2"')
    expect(await passwordHash(user.id)).toBe(hash)
  })

  it('accepts the object from GET unchanged', async () => {
    const user = await makeUser({ name: 'Ada', contacts: [phone, work] })
    const { body } = await call('GET', `/user/${user.id}`)
    const answer = await call('PUT', `/user/${user.id}`, { json: body })
    expect(answer.status).toBe(200)
    expect(answer.body).toEqual({ ...user, version: 2, updated_at: answer.body.updated_at })
  })

  it('keeps the ids of contacts that are sent back, in the order sent', async () => {
    const user = await makeUser({ contacts: [phone, work] })
    const [first, second] = user.contacts
    const answer = await call('PUT', `/user/${user.id}`, {
      json: {
        username: user.username,
        contacts: [second, { contact_type: 'WHATSAPP', value: 'new' }, { ...first, value: 'changed' }],
      },
    })
    expect(answer.body.contacts.map(({ value }) => value)).toEqual(['Desk 7', 'new', 'changed'])
    expect(answer.body.contacts[0]?.id).toBe(second?.id)
    expect(answer.body.contacts[2]?.id).toBe(first?.id)
  })

  it("never takes over another user's contact", async () => {
    const other = await makeUser({ contacts: [phone] })
    const user = await makeUser()
    const answer = await call('PUT', `/user/${user.id}`, {
      json: { username: user.username, contacts: other.contacts },
    })
    expect(answer.status).toBe(200)
    expect(answer.body.contacts[0]?.id).not.toBe(other.contacts[0]?.id)
    expect((await call('GET', `/user/${other.id}`)).body).toEqual(other)
  })

  it('rejects another id than the path’s, and a repeated contact id', async () => {
    const user = await makeUser({ contacts: [phone] })
    const other = await makeUser()
    const wrongId = await call<Problem>('PUT', `/user/${user.id}`, {
      json: { username: user.username, id: other.id },
    })
    expect([wrongId.status, wrongId.body.errors]).toEqual([
      400,
      [{ pointer: '/id', message: 'must equal the id in the path' }],
    ])
    const twice = await call<Problem>('PUT', `/user/${user.id}`, {
      json: { username: user.username, contacts: [user.contacts[0], user.contacts[0]] },
    })
    expect([twice.status, twice.body.errors]).toEqual([
      400,
      [{ pointer: '/contacts/1/id', message: 'must be unique among the contacts' }],
    ])
    expect((await call('GET', `/user/${user.id}`)).body).toEqual(user)
  })

  it('rejects renaming to a taken username, and changes nothing', async () => {
    const [user, other] = [await makeUser({ name: 'Before' }), await makeUser()]
    const answer = await call('PUT', `/user/${user.id}`, {
      json: { username: other.username.toUpperCase(), name: 'After' },
    })
    expect(answer.status).toBe(409)
    expect((await call('GET', `/user/${user.id}`)).body).toEqual(user)
  })

  it('allows changing the case of a username', async () => {
    const user = await makeUser()
    const answer = await call('PUT', `/user/${user.id}`, { json: { username: user.username.toUpperCase() } })
    expect([answer.status, answer.body.username]).toEqual([200, user.username.toUpperCase()])
  })
})

describe('PATCH /user/{id}', () => {
  it('changes the named fields only, under either media type', async () => {
    const user = await makeUser({ name: 'Ada', contacts: [phone] })
    const first = await call('PATCH', `/user/${user.id}`, { json: { status: 'BLOCKED' } })
    expect(first.body).toEqual({ ...user, status: 'BLOCKED', version: 2, updated_at: first.body.updated_at })
    const second = await call('PATCH', `/user/${user.id}`, {
      body: JSON.stringify({ name: null, contacts: null }),
      headers: { 'content-type': 'application/merge-patch+json; charset=utf-8' },
    })
    expect(second.body).toMatchObject({ name: null, contacts: [], status: 'BLOCKED', version: 3 })
  })

  it('rejects null for fields that cannot be removed', async () => {
    const user = await makeUser()
    const answer = await call<Problem>('PATCH', `/user/${user.id}`, {
      json: { username: null, status: null },
    })
    expect(answer.status).toBe(400)
    expect(answer.body.errors?.map(({ pointer }) => pointer).sort()).toEqual(['/status', '/username'])
  })

  it('rejects another media type with 415', async () => {
    const user = await makeUser()
    const answer = await call('PATCH', `/user/${user.id}`, {
      body: '{}',
      headers: { 'content-type': 'text/plain' },
    })
    expect(answer.status).toBe(415)
  })
})

describe('DELETE /user/{id}', () => {
  it('erases the user, the contacts and the cache entry, and frees the username', async () => {
    const user = await makeUser({ contacts: [phone] })
    expect((await call('GET', `/user/${user.id}`)).status).toBe(200)
    const answer = await call('DELETE', `/user/${user.id}`)
    expect([answer.status, answer.text]).toEqual([204, ''])
    expect((await call('GET', `/user/${user.id}`)).status).toBe(404)
    expect(await countContacts(user.id)).toBe(0)
    expect((await call('DELETE', `/user/${user.id}`)).status).toBe(404)
    await makeUser({ username: user.username })
  })
})

describe('GET /user/{id}', () => {
  it('answers the second read from the cache, byte for byte', async () => {
    const user = await makeUser({ name: 'Zoë 👋', contacts: [phone] })
    const first = await call('GET', `/user/${user.id}`)
    const second = await call('GET', `/user/${user.id.toUpperCase()}`)
    expect([first.headers.get('x-cache'), second.headers.get('x-cache')]).toEqual(['miss', 'hit'])
    expect(second.text).toBe(first.text)
  })

  it('answers 404 for an unknown id, the second time from the cache, and 400 for a malformed id', async () => {
    const id = '0197f3c2-6d1a-7c54-9a0e-3f6f2a1b8c77'
    expect((await call('GET', `/user/${id}`)).status).toBe(404)
    expect((await call('GET', `/user/${id}`)).status).toBe(404)
    const answer = await call<Problem>('GET', '/user/7')
    expect([answer.status, answer.body.errors]).toEqual([
      400,
      [{ parameter: 'id', message: 'must be a UUID' }],
    ])
  })

  it('answers HEAD like GET, without the body', async () => {
    const user = await makeUser()
    const answer = await call('HEAD', `/user/${user.id}`)
    expect([answer.status, answer.text, answer.headers.get('etag')]).toEqual([200, '', '"1"'])
  })
})

describe('routes', () => {
  it('answers 405 with Allow on existing paths, and 404 on others', async () => {
    const answer = await call('PATCH', '/user')
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST, GET, HEAD'])
    expect((await call('POST', `/user/${crypto.randomUUID()}`)).headers.get('allow')).toBe(
      'GET, HEAD, PUT, PATCH, DELETE',
    )
    expect((await call('GET', '/users')).status).toBe(404)
  })

  it('match encoded and plain characters of a path alike', async () => {
    const user: User = await makeUser()
    const encoded = [...user.id].map((c) => `%${c.charCodeAt(0).toString(16)}`).join('')
    expect((await call('GET', `/%75ser/${encoded}`)).body).toEqual(user)
  })

  it('accepts a plain inbound request id, and creates one otherwise', async () => {
    const given = await call('GET', '/user?limit=1', { headers: { 'x-request-id': 'trace-12345678' } })
    expect(given.headers.get('x-request-id')).toBe('trace-12345678')
    const made = await call('GET', '/user?limit=1', { headers: { 'x-request-id': 'a b"c' } })
    expect(made.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
  })

  it('logs one line for each request with its route, status and caller', async () => {
    const user: User = await makeUser()
    const { headers } = await call('GET', `/user/${user.id}`)
    const lines = () => service.log.filter(({ fields }) => fields.request_id === headers.get('x-request-id'))
    await until('the line', () => lines().length > 0)
    // The function's lines also contain its metrics.
    expect(lines()).toMatchObject([
      {
        level: 'info',
        message: 'request',
        fields: {
          request_id: headers.get('x-request-id'),
          method: 'GET',
          route: 'GET /user/{id}',
          status: 200,
          caller: 'admin',
          cache: 'miss',
          duration_ms: expect.any(Number),
        },
      },
    ])
  })
})

async function passwordHash(id: string): Promise<string> {
  const rows = await service.connections.db.query((queries) =>
    queries.prepared<{ password_hash: string }>(
      'test-hash',
      'SELECT password_hash FROM users WHERE id = $1',
      [id],
    ),
  )
  return rows[0]?.password_hash ?? ''
}

async function countContacts(userId: string): Promise<number> {
  const rows = await service.connections.db.query((queries) =>
    queries.prepared('test-contacts', 'SELECT 1 FROM contacts WHERE user_id = $1', [userId]),
  )
  return rows.length
}
