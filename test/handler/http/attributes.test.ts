// The attributes of a user: their rules, their storage, and merge patches.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { startService, uniqueName } from '../../support/service.ts'

const service = await startService()
const { call, makeUser } = service
type Problem = { errors?: { pointer: string; message: string }[] }

const read = async (id: string) => (await call('GET', `/user/${id}`)).body.attributes
const send = (method: 'POST' | 'PATCH', path: string, attributes: unknown) =>
  call<Problem>(method, path, {
    json: { ...(method === 'POST' && { username: uniqueName(), password: null }), attributes },
  })

const value = fc.oneof(
  fc.string({ maxLength: 40, unit: 'grapheme' }).filter((text) => !text.includes('\0')),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double({ min: -1e15, max: 1e15, noNaN: true }),
  fc.boolean(),
)
const key = fc.stringMatching(/^[a-z][a-z0-9_]{0,63}$/)
const attributes = fc.dictionary(key, value, { maxKeys: 20 })
/** -0 has no JSON of its own. */
const asJson = (attributes: object) => JSON.parse(JSON.stringify(attributes))

describe('attributes', () => {
  it('come back as they were sent, from the answer, the database and the cache', async () => {
    await fc.assert(
      fc.asyncProperty(attributes, async (attributes) => {
        const user = await makeUser({ password: null, attributes })
        expect(user.attributes).toEqual(asJson(attributes))
        const [loaded, cached] = [await read(user.id), await read(user.id)]
        expect([loaded, cached]).toEqual([user.attributes, user.attributes])
      }),
      { numRuns: 50 },
    )
  })

  it('keep numbers at the limits of a double', async () => {
    const numbers = {
      tenth: 0.1,
      third: 1 / 3,
      tiny: 5e-324,
      small: -2.2250738585072014e-308,
      large: Number.MAX_SAFE_INTEGER,
      low: Number.MIN_SAFE_INTEGER,
      half: 4503599627370495.5,
      zero: -0,
    }
    const { id, attributes } = await makeUser({ attributes: numbers })
    expect(attributes).toEqual({ ...numbers, zero: 0 })
    expect(await read(id)).toEqual(attributes)
  })

  it.each(['1e400', '-1e400', '9007199254740993', '12345678901234567890', '1e16'])(
    'reject the number %s, which other systems would read as another number',
    async (number) => {
      const body = `{"username": "${uniqueName()}", "password": null, "attributes": {"a": ${number}}}`
      const answer = await call<Problem>('POST', '/user', {
        body,
        headers: { 'content-type': 'application/json' },
      })
      expect(answer.body.errors).toEqual([
        { pointer: '/attributes/a', message: 'must be from -(2^53 - 1) to 2^53 - 1; send it as text' },
      ])
    },
  )

  it('may have names that objects inherit', async () => {
    const attributes = { constructor: 'x', valueof: 1, prototype: true }
    const user = await makeUser({ attributes })
    expect(await read(user.id)).toEqual(attributes)
    await call('PATCH', `/user/${user.id}`, { json: { attributes: { constructor: null } } })
    expect(await read(user.id)).toEqual({ valueof: 1, prototype: true })
  })

  it.each(['__proto__', 'toString', 'A', '', '1a', 'a-b', 'a.b', 'a'.repeat(65), 'é'])(
    'cannot have the key %j',
    async (key) => {
      const body = `{"attributes": {${JSON.stringify(key)}: "x"}}`
      const { id } = await makeUser()
      const answer = await call<Problem>('PATCH', `/user/${id}`, {
        body,
        headers: { 'content-type': 'application/json' },
      })
      expect([answer.status, answer.body.errors?.map(({ pointer }) => pointer)]).toEqual([
        400,
        [`/attributes/${key}`],
      ])
      expect(await read(id)).toEqual({})
      expect(({} as Record<string, unknown>).x).toBeUndefined()
    },
  )

  it.each([null, [], {}, ['x'], { a: 1 }, 'x'.repeat(513)])('cannot have the value %j', async (value) => {
    const answer = await send('POST', '/user', { a: value })
    expect(answer.body.errors).toEqual([
      { pointer: '/attributes/a', message: 'must be text of at most 512 characters, a number or a boolean' },
    ])
  })

  it.each(['x', 7, [], true, null])('cannot be %j in a new user', async (attributes) => {
    expect((await send('POST', '/user', attributes)).body.errors).toEqual([
      { pointer: '/attributes', message: 'must be an object' },
    ])
  })

  it('have at most 50 keys and 8 KB as UTF-8', async () => {
    const keys = (count: number, value: unknown = 1) =>
      Object.fromEntries(Array.from({ length: count }, (_, at) => [`key_${at}`, value]))
    expect((await send('POST', '/user', keys(50))).status).toBe(201)
    expect((await send('POST', '/user', keys(51))).body.errors).toEqual([
      { pointer: '/attributes', message: 'must have at most 50 keys' },
    ])
    expect((await send('POST', '/user', keys(15, 'é'.repeat(240)))).status).toBe(201)
    for (const size of ['é'.repeat(512), 'x'.repeat(512)])
      expect((await send('POST', '/user', keys(size.includes('é') ? 8 : 16, size))).body.errors).toEqual([
        { pointer: '/attributes', message: 'must be at most 8192 bytes as JSON' },
      ])
  })
})

describe('a merge patch', () => {
  it('changes single keys, removes them by null, and keeps the others', async () => {
    const { id } = await makeUser({ attributes: { a: 'x', b: 1, c: true } })
    await call('PATCH', `/user/${id}`, { json: { attributes: { a: 'y', b: null, d: '' } } })
    expect(await read(id)).toEqual({ a: 'y', c: true, d: '' })
    await call('PATCH', `/user/${id}`, { json: { name: 'Ada' } })
    expect(await read(id)).toEqual({ a: 'y', c: true, d: '' })
    await call('PATCH', `/user/${id}`, { json: { attributes: { unused: null } } })
    expect(await read(id)).toEqual({ a: 'y', c: true, d: '' })
    await call('PATCH', `/user/${id}`, { json: { attributes: null } })
    expect(await read(id)).toEqual({})
  })

  it('cannot exceed the limits in sum, and then changes nothing', async () => {
    const half = (prefix: string) =>
      Object.fromEntries(Array.from({ length: 26 }, (_, at) => [`${prefix}${at}`, at]))
    const { id, version } = await makeUser({ attributes: half('a') })
    const answer = await send('PATCH', `/user/${id}`, half('b'))
    expect(answer).toMatchObject({
      status: 400,
      body: { errors: [{ pointer: '/attributes', message: 'must have at most 50 keys' }] },
    })
    expect((await call('GET', `/user/${id}`)).body).toMatchObject({ attributes: half('a'), version })
    const replacing = {
      ...half('b'),
      ...Object.fromEntries(Object.keys(half('a')).map((key) => [key, null])),
    }
    expect((await send('PATCH', `/user/${id}`, replacing)).status).toBe(200)
    expect(await read(id)).toEqual(half('b'))
  })

  it('follows RFC 7396 for any two objects', async () => {
    const { id } = await makeUser()
    await fc.assert(
      fc.asyncProperty(
        attributes,
        fc.dictionary(key, fc.option(value), { maxKeys: 20 }),
        async (before, changes) => {
          const { username } = (
            await call('PUT', `/user/${id}`, { json: { ...(await own()), attributes: before } })
          ).body
          expect(username).toBeDefined()
          await call('PATCH', `/user/${id}`, { json: { attributes: changes } })
          const merged = Object.entries(asJson({ ...before, ...changes })).filter(
            ([, value]) => value !== null,
          )
          expect(await read(id)).toEqual(Object.fromEntries(merged))
        },
      ),
      { numRuns: 30 },
    )
    async function own() {
      return (await call('GET', `/user/${id}`)).body
    }
  })

  it('of different keys at once loses none', async () => {
    const { id } = await makeUser()
    await Promise.all(
      Array.from({ length: 20 }, (_, at) => send('PATCH', `/user/${id}`, { [`key_${at}`]: at })),
    )
    expect(Object.keys(await read(id))).toHaveLength(20)
  })

  it('by PUT replaces all of them, and clears them if they are missing', async () => {
    const { id, username } = await makeUser({ attributes: { a: 1, b: 2 } })
    await call('PUT', `/user/${id}`, { json: { username, attributes: { b: 3 } } })
    expect(await read(id)).toEqual({ b: 3 })
    await call('PUT', `/user/${id}`, { json: { username } })
    expect(await read(id)).toEqual({})
  })
})
