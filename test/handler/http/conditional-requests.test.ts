// Conditional requests (RFC 9110, section 13) on every method.
import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { User } from '../../../src/model/user.ts'
import { png } from '../../support/picture.ts'
import { startService, uniqueName } from '../../support/service.ts'

const { call, makeUser } = await startService()
type Problem = { version?: number; errors?: { pointer?: string; header?: string }[] }

const image = await png()
const json = (body: (user: User) => unknown) => (user: User) => ({ json: body(user) })
const writes = {
  PUT: json(({ username }) => ({ username, name: 'changed' })),
  PATCH: json(() => ({ name: 'changed' })),
  POST: () => ({ body: image, headers: { 'content-type': 'image/png' } }),
  DELETE: () => ({}),
}
type Write = keyof typeof writes
const methods = Object.keys(writes) as Write[]

/** Sends a change of a user; POST uploads an avatar. */
function write(method: Write, user: User, conditions: Record<string, string>) {
  const { headers = {}, ...rest } = writes[method](user) as { headers?: Record<string, string> }
  return call<Problem>(method, `/${method === 'POST' ? 'upload' : 'user'}/${user.id}`, {
    ...rest,
    headers: { ...headers, ...conditions },
  })
}

/** A user whose version is 2. */
async function makeChangedUser(): Promise<User> {
  const { id } = await makeUser()
  return (await call('PATCH', `/user/${id}`, { json: { name: 'first' } })).body
}

/** Lists with empty elements and spaces (5.6.1.2); weak tags (8.8.3.2). */
const matching = { strong: ['"2"', '"1", "2"', '"2",', ', ,"2"\t,', '"a,b" ,"2"', '*'], weak: ['W/"2"'] }
const other = ['"1"', '"1", "3"', '"02"', '"2!"', '"1,2"', '"99999999999999999999"', 'W/"1"', ',', '""']
const malformed = ['2', '"2', '2"', '"1" "2"', '"1"; "2"', 'w/"2"', 'W/ "2"', '*, "2"', '*,*', '"a b"']

describe.each(methods)('%s', (method) => {
  const success = method === 'DELETE' ? 204 : 200

  it('with a failing If-Match or If-None-Match is 412 with the current version, and changes nothing', async () => {
    const user = await makeChangedUser()
    for (const conditions of [
      ...[...other, ...matching.weak].map((value) => ({ 'if-match': value })),
      ...[...matching.strong, ...matching.weak].map((value) => ({ 'if-none-match': value })),
      { 'if-match': '"2"', 'if-none-match': '"2"' },
      { 'if-match': '"1"', 'if-none-match': '"1"' },
    ] as Record<string, string>[]) {
      const { status, body, headers } = await write(method, user, conditions)
      expect([status, body.version, headers.get('etag')], JSON.stringify(conditions)).toEqual([412, 2, '"2"'])
    }
    expect((await call('GET', `/user/${user.id}`)).body).toEqual(user)
  })

  it('with satisfied conditions succeeds; conditions on dates are ignored', async () => {
    const past = 'Sat, 01 Jan 2000 00:00:00 GMT'
    for (const conditions of [
      ...matching.strong.slice(method === 'DELETE' ? -1 : 0).map((value) => ({ 'if-match': value })),
      ...['"1"', ',', 'W/"3"'].map((value) => ({ 'if-none-match': value })),
      { 'if-match': '"2"', 'if-none-match': '"1"', 'if-unmodified-since': past, 'if-modified-since': past },
    ] as Record<string, string>[])
      expect(
        (await write(method, await makeChangedUser(), conditions)).status,
        JSON.stringify(conditions),
      ).toBe(success)
  })

  it('on a missing user is 404 under any condition', async () => {
    const nobody = { ...(await makeUser()), id: crypto.randomUUID() }
    for (const conditions of [{ 'if-match': '*' }, { 'if-match': '"1"' }, { 'if-none-match': '*' }])
      expect((await write(method, nobody, conditions as Record<string, string>)).status).toBe(404)
  })
})

it('exactly one of two writers with the same If-Match wins', async () => {
  const user = await makeUser()
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => write('PATCH', user, { 'if-match': '"1"' })),
  )
  expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array<number>(7).fill(412)])
})

it('a malformed condition is a 400 that names each header and all other faults', async () => {
  const user = await makeUser()
  for (const value of malformed) {
    const conditions = { 'if-match': value, 'if-none-match': value }
    const names = ['If-Match', 'If-None-Match']
    const patch = await call<Problem>('PATCH', `/user/${user.id}`, { json: { name: 7 }, headers: conditions })
    expect(patch.body.errors?.map(({ header, pointer }) => header ?? pointer)).toEqual([...names, '/name'])
    for (const [method, path] of [
      ['GET', `/user/${user.id}`],
      ['GET', '/user'],
      ['DELETE', `/user/${user.id}`],
    ] as const) {
      const { status, body } = await call<Problem>(method, path, { headers: conditions })
      expect([status, body.errors?.map(({ header }) => header)], value).toEqual([400, names])
    }
  }
})

describe('GET and HEAD', () => {
  it('answer 304 if If-None-Match fails by weak comparison, on a miss and on a hit', async () => {
    const { id } = await makeChangedUser()
    for (const value of [...matching.strong, ...matching.weak])
      for (const method of ['GET', 'HEAD']) {
        const { status, text, headers } = await call(method, `/user/${id}`, {
          headers: { 'if-none-match': value },
        })
        expect([status, text, headers.get('etag')], value).toEqual([304, '', '"2"'])
        expect(headers.get('content-type')).toBeNull()
      }
    for (const value of other)
      expect((await call('GET', `/user/${id}`, { headers: { 'if-none-match': value } })).status, value).toBe(
        200,
      )
    const fresh = await makeUser()
    const caches: (string | null)[] = []
    for (let read = 0; read < 2; read++) {
      const { status, headers } = await call('GET', `/user/${fresh.id}`, {
        headers: { 'if-none-match': '"1"' },
      })
      expect(status).toBe(304)
      caches.push(headers.get('x-cache'))
    }
    expect(caches).toEqual(['miss', 'hit'])
  })

  it('answer 412 if If-Match fails, which is evaluated first', async () => {
    const { id } = await makeChangedUser()
    for (const conditions of [
      { 'if-match': '"1"' },
      { 'if-match': 'W/"2"' },
      { 'if-match': '"1"', 'if-none-match': '"2"' },
    ] as Record<string, string>[]) {
      const { status, body } = await call<Problem>('GET', `/user/${id}`, { headers: conditions })
      expect([status, body.version]).toEqual([412, 2])
    }
    const both = { 'if-match': '"2"', 'if-none-match': '"2"' }
    expect((await call('GET', `/user/${id}`, { headers: both })).status).toBe(304)
    expect((await call('GET', `/user/${id}`, { headers: { 'if-match': '"2"' } })).status).toBe(200)
  })
})

describe('jobs, which have no entity tag', () => {
  it('a tag matches none, and a missing job is a 404 under every condition of a read', async () => {
    const { body } = await call('POST', '/export', { json: { format: 'csv' } })
    const stale = { headers: { 'if-match': '"1"' } }
    for (const method of ['GET', 'DELETE'])
      expect((await call(method, `/export/${body.id}`, stale)).status).toBe(412)
    expect((await call<{ state: string }>('GET', `/export/${body.id}`)).body.state).toBe('waiting')
    for (const headers of [{ 'if-match': '"1"' }, { 'if-none-match': '*' }] as Record<string, string>[])
      expect((await call('GET', `/export/${randomUUID()}`, { headers })).status).toBe(404)
  })
})

describe('the list and the creation of users, which have no entity tag', () => {
  const create = (conditions: Record<string, string>) =>
    call('POST', '/user', {
      json: { username: uniqueName(), password: 'a-good-password' },
      headers: conditions,
    })
  const list = (conditions: Record<string, string>) => call('GET', '/user?limit=1', { headers: conditions })

  it('match * only', async () => {
    for (const [conditions, expected] of [
      [{ 'if-match': '*' }, [201, 200]],
      [{ 'if-none-match': '"1"' }, [201, 200]],
      [{ 'if-match': '"1"' }, [412, 412]],
      [{ 'if-none-match': '*' }, [412, 304]],
    ] as [Record<string, string>, number[]][])
      expect(
        [(await create(conditions)).status, (await list(conditions)).status],
        JSON.stringify(conditions),
      ).toEqual(expected)
  })
})
