// Hostile input gets a clear problem document quickly. Nothing is stored or leaked.
import { createHash, randomUUID } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { listParameters } from '../../../src/model/listing.ts'
import type { User } from '../../../src/model/user.ts'
import { png, pngThatClaims } from '../../support/picture.ts'
import { exchangeRaw, sendRaw } from '../../support/raw.ts'
import { type CallOptions, startService, uniqueName } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

const service = await startService()
const { call, makeUser, tokens } = service
const authorization = `Bearer ${tokens.admin}`
const picture = await png()
const target = await makeUser({ contacts: [{ contact_type: 'WORK', value: 'Desk 7' }] })

type Problem = {
  type: string
  title: string
  status: number
  detail: string
  request_id: string
  errors?: { pointer?: string; parameter?: string; header?: string; message: string }[]
}

/** All stored data as one text. */
async function stored(): Promise<string> {
  const { rows } = await service.connections.db.query((queries) =>
    queries.execute(`
      SELECT (SELECT json_agg(u ORDER BY id) FROM users u) AS users,
        (SELECT json_agg(c ORDER BY id) FROM contacts c) AS contacts`),
  )
  const files = await readdir(service.avatarDirectory, { recursive: true }).catch(() => [])
  return JSON.stringify({ rows, files: files.filter((name) => name.endsWith('.webp')).sort() })
}

/** Expects a problem document with a status below 500 that names the fault and leaks nothing. */
function expectRejection(answer: { status: number; headers: Headers; text: string }, told = ''): Problem {
  expect(answer.status, `${told} ${answer.text}`).toBeGreaterThanOrEqual(400)
  expect(answer.status, `${told} ${answer.text}`).toBeLessThan(500)
  expect(answer.headers.get('content-type'), told).toBe('application/problem+json')
  const problem = JSON.parse(answer.text) as Problem
  expect(problem.status).toBe(answer.status)
  expect(answer.text.length, told).toBeLessThan(40_000)
  expect(answer.text).not.toMatch(/SELECT |INSERT |node_modules|\.ts:|at .+:\d+:\d+|argon2id|syntax error at/)
  return problem
}

/** Every write route with each of its media types. */
const writes: [method: string, path: () => string, contentType: string][] = [
  ['POST', () => '/user', 'application/json'],
  ['PUT', () => `/user/${target.id}`, 'application/json'],
  ['PATCH', () => `/user/${target.id}`, 'application/json'],
  ['PATCH', () => `/user/${target.id}`, 'application/merge-patch+json'],
  ['POST', () => `/upload/${target.id}`, 'application/json'],
  ['POST', () => `/upload/${target.id}`, 'multipart/form-data; boundary=x'],
  ['POST', () => `/upload/${target.id}`, 'image/png'],
]

describe.each(writes)('%s %s as %s', (method, path, contentType) => {
  const headers = { authorization, 'content-type': contentType }
  const gigabyte = 1024 ** 3

  it('rejects a declared body of 1 GB before any of it is sent', async () => {
    const answer = await sendRaw(service.url, {
      method,
      path: path(),
      headers: { ...headers, 'content-length': String(gigabyte) },
      endless: { bytesMax: 0 },
    })
    expect(answer.status).toBe(413)
  })

  it('rejects a streamed body of 1 GB at the limit, with constant memory', async () => {
    const before = process.memoryUsage().rss
    const answer = await sendRaw(service.url, {
      method,
      path: path(),
      headers: { ...headers, 'transfer-encoding': 'chunked' },
      endless: { bytesMax: gigabyte },
    })
    expect(answer.status).toBe(413)
    expect(answer.sentBytes).toBeLessThan(64 * 1024 ** 2)
    expect(process.memoryUsage().rss - before).toBeLessThan(256 * 1024 ** 2)
  })

  it('rejects a forbidden caller’s body of 1 GB without reading it', async () => {
    for (const [token, status] of [
      ['Bearer x', 401],
      [`Bearer ${await service.issuer.token({ username: uniqueName() })}`, 403],
    ] as const) {
      const answer = await sendRaw(service.url, {
        method,
        path: path(),
        headers: { ...headers, authorization: token, 'transfer-encoding': 'chunked' },
        endless: { bytesMax: gigabyte },
      })
      expect(answer.status).toBe(status)
      expect(answer.sentBytes).toBeLessThan(64 * 1024 ** 2)
    }
  })

  it('rejects compressed, empty and binary bodies', async () => {
    const before = await stored()
    for (const [body, more] of [
      [new Uint8Array(gzipSync(Buffer.alloc(1_000_000))), { 'content-encoding': 'gzip' }],
      [new Uint8Array(), {}],
    ] as const)
      expectRejection(await call(method, path(), { body, headers: { 'content-type': contentType, ...more } }))
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        const body = Uint8Array.from(bytes)
        expectRejection(await call(method, path(), { body, headers: { 'content-type': contentType } }))
      }),
      { numRuns: 30 },
    )
    expect(await stored()).toBe(before)
  })
})

it.each([
  ['a rejected body', 'POST /user'],
  ['an unexpected body', 'GET /health'],
])('disconnects a client that keeps sending %s', async (_what, start) => {
  const { hostname, port } = new URL(service.url)
  const socket = connect(Number(port), hostname)
  const chunk = Buffer.from(`10000\r\n${' '.repeat(0x10000)}\r\n`)
  // This client never reads and never stops.
  await new Promise<void>((closed) => {
    socket.on('error', () => {})
    socket.on('close', () => closed())
    const next = (): void => {
      while (socket.writable) if (!socket.write(chunk)) return void socket.once('drain', next)
    }
    socket.write(
      `${start} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`,
    )
    next()
  })
  expect((await call('GET', '/health', { token: null })).status).toBe(200)
})

const exchange = (text: string, half = false) => exchangeRaw(service.url, text, half)

it('a body that ends early logs no error and stores nothing', async () => {
  const before = await stored()
  const lines = service.log.length
  await exchange(
    `POST /user HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n{"username":"half"`,
    true,
  )
  const line = await until('the line', () =>
    service.log.slice(lines).find(({ fields }) => fields.route === 'POST /user'),
  )
  expect([line.message, line.fields.status]).toEqual(['request', 400])
  expect(await stored()).toBe(before)
})

it('an absolute request target is answered like a path', async () => {
  for (const url of ['http://x', 'HTTPS://user:password@other.example:1'])
    expect(
      await exchange(`GET ${url}/health?x=http://y HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`),
    ).toMatch(/^HTTP\/1\.1 200 OK\r\n.*"up"/s)
  for (const target of ['http://x', 'ftp://x/health', '*', 'x'])
    expect(await exchange(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 40[04] /,
    )
})

it('a request with two tokens is unauthenticated', async () => {
  const twice = `Authorization: ${authorization}\r\nAuthorization: Bearer x`
  for (const headers of [twice, twice.split('\r\n').reverse().join('\r\n')])
    expect(
      await exchange(`GET /user HTTP/1.1\r\nHost: x\r\n${headers}\r\nConnection: close\r\n\r\n`),
    ).toMatch(/^HTTP\/1\.1 401 /)
})

const jsonWrites = writes.filter(([, , type]) => type.includes('json'))
const user = { username: 'mallory', password: 'a-good-password' }
const deep = (depth: number) => `${'[{"a":'.repeat(depth)}1${'}]'.repeat(depth)}`

const badBodies: [what: string, body: string | Uint8Array<ArrayBuffer>][] = [
  ['malformed JSON', '{'],
  ['two values', '{}{}'],
  ['null', 'null'],
  ['a list', '[]'],
  ['a number', '1e999'],
  ['text', '"x"'],
  ['nested 100,000 deep', deep(50_000)],
  ['lists nested 1,000,000 deep', '['.repeat(1_000_000)],
  ['a deep value in an unknown field', `{"x":${deep(5_000)}}`],
  [
    'a hundred thousand unknown fields',
    `{${Array.from({ length: 100_000 }, (_, at) => `"k${at}":1`).join()}}`,
  ],
  ['a list of a million', `{"contacts":[${'1,'.repeat(999_999)}1]}`],
  ['a field name of 1 MB', JSON.stringify({ ['k'.repeat(1_000_000)]: 1 })],
  [
    '51 contacts',
    JSON.stringify({ ...user, contacts: Array(51).fill({ contact_type: 'WORK', value: 'x' }) }),
  ],
  ['__proto__', '{"__proto__":{"status":"BLOCKED"}}'],
  ['__proto__ in a contact', '{"contacts":[{"contact_type":"WORK","value":"x","__proto__":{}}]}'],
  ['constructor', '{"constructor":{"prototype":{"status":"BLOCKED"}}}'],
  ['NUL in a name', JSON.stringify({ ...user, name: 'a\0b' })],
  ['NUL in a contact', JSON.stringify({ ...user, contacts: [{ contact_type: 'WORK', value: '\0' }] })],
  ['NUL in a password', JSON.stringify({ ...user, password: 'a-good\0password' })],
  ['a lone surrogate in a name', '{"username":"m","password":"a-good-password","name":"\\ud800"}'],
  ['a lone surrogate in a field name', '{"\\ud800":1}'],
  ['a name that is not UTF-8', Uint8Array.from(Buffer.from('{"name":"\xff"}', 'latin1'))],
  ['a username of invisible characters', JSON.stringify({ ...user, username: '\u200b\u2060' })],
  ['a username with a bidirectional override', JSON.stringify({ ...user, username: 'a\u202eb' })],
  ['a username with a line break', JSON.stringify({ ...user, username: 'a\nb' })],
  ['SQL for a username', JSON.stringify({ ...user, username: "x'; DROP TABLE users; --" })],
  ['a username of 10,000 characters', JSON.stringify({ ...user, username: 'x'.repeat(10_000) })],
  ['a username that NFKC expands', JSON.stringify({ ...user, username: '\ufdfa'.repeat(64) })],
  ['a password of 1 MB', JSON.stringify({ ...user, password: 'x'.repeat(1_000_000) })],
  ['internal fields', JSON.stringify({ ...user, password_hash: 'x', search_text: 'y' })],
  ['an object as an id', JSON.stringify({ ...user, id: { $ne: null } })],
  ['an avatar on another host', JSON.stringify({ ...user, avatar: 'https://evil.example/x.png' })],
  ['an avatar with a file path', JSON.stringify({ ...user, avatar: 'avatars/../../etc/passwd' })],
  [
    "another user's avatar",
    JSON.stringify({ ...user, avatar: `avatars/${randomUUID()}/${'0'.repeat(64)}.webp` }),
  ],
  ['an avatar of HTML', JSON.stringify({ ...user, avatar: 'data:text/html;base64,PHNjcmlwdD4=' })],
  ['an avatar that is not base64', JSON.stringify({ ...user, avatar: 'data:image/png;base64,!!!!' })],
]

describe.each(badBodies)('a body that is %s', (_what, body) => {
  it('is rejected by every route with a JSON body, and stores nothing', async () => {
    const before = await stored()
    for (const [method, path, contentType] of jsonWrites) {
      const startedAt = performance.now()
      const answer = await call(method, path(), { body, headers: { 'content-type': contentType } })
      const problem = expectRejection(answer, `${method} ${path()}`)
      expect(problem.errors?.length, answer.text).toBeGreaterThan(0)
      // A generous limit: quadratic work would take minutes.
      expect(performance.now() - startedAt).toBeLessThan(5_000)
    }
    expect(await stored()).toBe(before)
  })
})

describe('any JSON', () => {
  it('is accepted as a valid user or rejected', async () => {
    const odd = fc.oneof(
      fc.jsonValue({ maxDepth: 4 }),
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.constant(undefined),
    )
    // Of many odd fields one is invalid nearly always, so most fields are valid.
    const mostly = (valid: fc.Arbitrary<unknown>) => fc.oneof({ weight: 15, arbitrary: valid }, odd)
    const contact = fc.record({
      contact_type: mostly(fc.constantFrom('PHONE', 'WORK')),
      value: mostly(fc.stringMatching(/^[a-z0-9+]{1,20}$/)),
    })
    const value = mostly(fc.oneof(fc.string({ maxLength: 20 }), fc.integer(), fc.boolean()))
    const anyUser = fc.record(
      {
        username: mostly(fc.stringMatching(/^[a-zäß0-9._-]{6,60}$/)),
        // A hash costs more than all else here.
        password: mostly(fc.constant(null)),
        name: mostly(fc.stringMatching(/^[a-zäß'-]{1,20}$/)),
        status: mostly(fc.constantFrom('ACTIVE', 'BLOCKED')),
        contacts: mostly(fc.array(contact, { maxLength: 2 })),
        external_id: mostly(fc.uuid()),
        attributes: mostly(fc.dictionary(fc.stringMatching(/^[a-z][a-z_]{0,8}$/), value, { maxKeys: 2 })),
        avatar: mostly(fc.constant(null)),
        id: mostly(fc.constant(undefined)),
        version: odd,
      },
      { requiredKeys: ['username', 'password'] },
    )
    const accepted = { POST: 0, PUT: 0, PATCH: 0 }
    await fc.assert(
      fc.asyncProperty(fc.oneof({ weight: 4, arbitrary: anyUser }, fc.jsonValue()), async (json) => {
        const made = await call<User>('POST', '/user', { json })
        if (made.status === 201) {
          accepted.POST++
          const sent = json as Record<string, unknown>
          expect((await call('GET', `/user/${made.body.id}`)).body).toEqual(made.body)
          expect(made.body.name).toBe(sent.name ?? null)
          expect(made.body.external_id).toBe(sent.external_id ?? null)
          expect(made.body.attributes).toEqual(JSON.parse(JSON.stringify(sent.attributes ?? {})))
          expect(made.body.contacts.map(({ value }) => value)).toEqual(
            ((sent.contacts ?? []) as User['contacts']).map(({ value }) => value),
          )
          expect((await call('DELETE', `/user/${made.body.id}`)).status).toBe(204)
        } else if (made.status !== 409) expectRejection(made)
        for (const method of ['PUT', 'PATCH'] as const) {
          const mine = await makeUser()
          const changed = await call(method, `/user/${mine.id}`, { json })
          const now = (await call('GET', `/user/${mine.id}`)).body
          if (changed.status === 200) {
            accepted[method]++
            expect(now).toEqual(changed.body)
          } else {
            expectRejection(changed)
            expect(now).toEqual(mine)
          }
          // Its username and external id may be used again.
          expect((await call('DELETE', `/user/${mine.id}`)).status).toBe(204)
        }
      }),
      { numRuns: 60 },
    )
    for (const count of Object.values(accepted)) expect(count).toBeGreaterThan(5)
  })
})

describe('any text in any parameter of the list', () => {
  const hostile = [
    "'; DROP TABLE users; --",
    '" OR 1=1 --',
    "' UNION SELECT password_hash FROM users --",
    '$1',
    '{"$gt":""}',
    '%00',
    '\\',
    '%',
    '_',
    '(',
    '*',
    '../../etc/passwd',
    '<script>alert(1)</script>',
    '\u202e\u200b',
    '\u{1f600}'.repeat(60),
    'x'.repeat(10_000),
    '-1',
    '1e9',
    'NaN',
    '9'.repeat(40),
    '2026-11-22T10:00:00Z; SELECT 1',
    '+275760-09-13T00:00:00Z',
    '0001-01-01T00:00:00Z',
    '9999-12-31T23:59:59.999+14:00',
  ]
  const parameters = Object.keys(listParameters.shape)

  it.each(parameters)('%s', async (parameter) => {
    const before = await stored()
    const told = (value: string) => `${parameter}=${value.slice(0, 80)}`
    const look = async (value: string, encoded = encodeURIComponent(value)) => {
      const answer = await call<{ items: unknown[] }>('GET', `/user?${parameter}=${encoded}`)
      if (answer.status === 200) expect(answer.body.items, told(value)).toBeInstanceOf(Array)
      else
        expect(
          expectRejection(answer, told(value)).errors?.map(({ parameter }) => parameter),
          told(value),
        ).toContain(parameter)
    }
    for (const value of hostile) await look(value)
    // Invalid UTF-8, a lone surrogate, a malformed escape, and a missing value.
    for (const encoded of ['%ff', '%ed%a0%80', '%zz', '%', '']) await look(encoded, encoded)
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme', maxLength: 40 }), (value) => look(value)),
      { numRuns: 25 },
    )
    expect(await stored()).toBe(before)
  })

  it('many parameters are rejected with an answer of limited size', async () => {
    const query = Array.from({ length: 400 }, (_, at) => `p${at}=${at}`).join('&')
    expectRejection(await call('GET', `/user?${query}`))
  })
})

describe('a cursor forged with a correct checksum', () => {
  /** Does the same as writeCursor in list.ts, which is public. */
  function forge(payload: string, query: Record<string, unknown> = { sort: 'created_at' }): string {
    const bound = JSON.stringify(Object.entries(query).sort(([a], [b]) => (a < b ? -1 : 1)))
    const digest = createHash('sha256').update(bound).update('\n').update(payload).digest().subarray(0, 12)
    return Buffer.concat([digest, Buffer.from(payload)]).toString('base64url')
  }
  const id = randomUUID()
  const time = '2026-11-22T10:00:00.000Z'

  it('is accepted if it contains a valid position', async () => {
    expect((await call('GET', `/user?cursor=${forge(JSON.stringify([time, id]))}`)).status).toBe(200)
    const byName = forge(JSON.stringify(["'; DROP TABLE users; --", id]), { sort: 'name' })
    expect((await call('GET', `/user?sort=name&cursor=${byName}`)).status).toBe(200)
  })

  it.each([
    [''],
    ['{'],
    ['null'],
    ['{}'],
    ['[]'],
    [JSON.stringify([time])],
    [JSON.stringify([time, id, id])],
    [JSON.stringify([time, 7])],
    [JSON.stringify([7, id])],
    [JSON.stringify([time, `${id}'; DROP TABLE users; --`])],
    [JSON.stringify([time, id.toUpperCase().replace(/^./, 'G')])],
    [JSON.stringify(['now', id])],
    [JSON.stringify(['infinity', id])],
    [JSON.stringify(['2026-13-45T99:00:00.000Z', id])],
    [JSON.stringify([`${time}; SELECT 1`, id])],
    [deep(300)],
  ])('is rejected with any other content: %s', async (payload) => {
    const answer = await call('GET', `/user?cursor=${forge(payload)}`)
    expect(expectRejection(answer).errors).toEqual([
      { parameter: 'cursor', message: expect.any(String) as string },
    ])
  })

  it('is rejected if PostgreSQL cannot store its text', async () => {
    for (const key of ['\0', '\ud800'])
      expectRejection(
        await call('GET', `/user?sort=name&cursor=${forge(JSON.stringify([key, id]), { sort: 'name' })}`),
      )
  })

  it('is accepted or rejected, whatever JSON it contains', async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue({ maxDepth: 3 }), async (value) => {
        const answer = await call('GET', `/user?cursor=${forge(JSON.stringify(value))}`)
        if (answer.status !== 200) expectRejection(answer)
      }),
      { numRuns: 50 },
    )
  })
})

describe('a path', () => {
  it.each([
    '/user/..',
    '/user/%2e%2e%2f%2e%2e',
    '/user/..%2f..%2fetc%2fpasswd',
    '/user/%00',
    '/user/%ff',
    '/user/%',
    `/user/${'a'.repeat(5_000)}`,
    "/user/1' OR '1'='1".replaceAll(' ', '%20'),
    '/user/{id}',
    '/user/:id',
    `/user%2f${target.id}`,
    `/user/${target.id.replace('-', '%252d')}`,
    `/user/x/../${target.id}`,
    `/x/%2e%2e/user/${target.id}`,
    `/user\\${target.id}`,
    `/user/${randomUUID()}/x`,
    `/user/${randomUUID()}%2fx`,
    '/user/',
    '//user',
    '/USER',
    '/upload',
    '/avatars/../package.json',
    '/avatars/%2e%2e/package.json',
    '/avatars/..%2f..%2f/package.json',
    '/avatars/x/%2e%2e%2fpackage.json',
    `/avatars/${randomUUID()}/..`,
    `/avatars/${randomUUID()}/${'0'.repeat(64)}.webp%00.html`,
    `/avatars/%00/${'0'.repeat(64)}.webp`,
    '/docs/../package.json',
    '/docs/..%2f..%2fpackage.json',
    '/docs/%2e%2e',
    '/docs/package.json',
    '/local-issuer/.well-known/jwks.json',
    '/.data/local-issuer-key.json',
  ])('%s matches no route', async (path) => {
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const answer = await sendRaw(service.url, { method, path, headers: { authorization } })
      expectRejection(
        { ...answer, headers: new Headers({ 'content-type': answer.headers['content-type'] ?? '' }) },
        path,
      )
    }
  })
})

describe('an upload', () => {
  const svg = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
  const whole = Buffer.from(picture)
  const images: [what: string, bytes: Buffer][] = [
    ['SVG', Buffer.from(svg)],
    ['HTML', Buffer.from('<!doctype html><script>alert(1)</script>')],
    ['a ZIP', Buffer.from('PK\x03\x04'.padEnd(500, '\0'))],
    ['a PNG cut off', whole.subarray(0, whole.length - 30)],
    ['only the first bytes of a PNG', whole.subarray(0, 8)],
    ['a PNG that claims 30,000 pixels square', pngThatClaims(30_000, 30_000)],
    ['nothing', Buffer.alloc(0)],
  ]
  const forms: [what: string, (bytes: Buffer) => [string, string, CallOptions]][] = [
    [
      'raw',
      (bytes) => [
        'POST',
        `/upload/${target.id}`,
        { body: Uint8Array.from(bytes), headers: { 'content-type': 'image/png' } },
      ],
    ],
    ['JSON', (bytes) => ['POST', `/upload/${target.id}`, { json: { image_data: bytes.toString('base64') } }]],
    [
      'JSON with a data URI',
      (bytes) => [
        'POST',
        `/upload/${target.id}`,
        { json: { image_data: `data:image/png;base64,${bytes.toString('base64')}` } },
      ],
    ],
    ['multipart', (bytes) => ['POST', `/upload/${target.id}`, { body: formOf(bytes, 'image/png') }]],
    [
      'a new user',
      (bytes) => [
        'POST',
        '/user',
        {
          json: {
            ...user,
            username: uniqueName(),
            avatar: `data:image/png;base64,${bytes.toString('base64')}`,
          },
        },
      ],
    ],
    [
      'a change',
      (bytes) => [
        'PATCH',
        `/user/${target.id}`,
        { json: { avatar: `data:image/png;base64,${bytes.toString('base64')}` } },
      ],
    ],
  ]

  function formOf(bytes: Buffer, type: string, name = '../../x.png'): FormData {
    const form = new FormData()
    form.set('file', new File([Uint8Array.from(bytes)], name, { type }))
    return form
  }

  it.each(images.flatMap(([image, bytes]) => forms.map(([form, ask]) => [image, form, bytes, ask] as const)))(
    'of %s as %s is refused, and nothing is stored',
    async (_image, _form, bytes, ask) => {
      const before = await stored()
      const answer = await call(...ask(bytes))
      expectRejection(answer)
      expect([400, 415, 422]).toContain(answer.status)
      expect(await stored()).toBe(before)
    },
  )

  it('is recognised by its bytes, whatever its declared type, and named by the service', async () => {
    const mine = await makeUser()
    for (const [type, name] of [
      ['text/html', '../../../evil.html'],
      ['image/svg+xml', 'x.svg\0.png'],
      ['application/x-php', '/etc/passwd'],
    ] as const) {
      const answer = await call<{ file_path: string }>('POST', `/upload/${mine.id}`, {
        body: formOf(whole, type, name),
      })
      expect(answer.status).toBe(200)
      expect(answer.body.file_path).toMatch(new RegExp(`^avatars/${mine.id}/[0-9a-f]{64}\\.webp$`))
    }
  })

  it.each([
    ['no boundary', 'multipart/form-data', 'x'],
    ['another boundary', 'multipart/form-data; boundary=y', '--x\r\n\r\n--x--'],
    [
      'no end',
      'multipart/form-data; boundary=x',
      '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc',
    ],
    [
      'no file',
      'multipart/form-data; boundary=x',
      '--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc\r\n--x--\r\n',
    ],
    [
      'two files',
      'multipart/form-data; boundary=x',
      `${'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc\r\n'.repeat(2)}--x--\r\n`,
    ],
    [
      'ten thousand parts',
      'multipart/form-data; boundary=x',
      `${'--x\r\nContent-Disposition: form-data; name="f"\r\n\r\na\r\n'.repeat(10_000)}--x--\r\n`,
    ],
    [
      'a header of 1 MB',
      'multipart/form-data; boundary=x',
      `--x\r\nContent-Disposition: form-data; name="${'n'.repeat(1_000_000)}"; filename="a"\r\n\r\nabc\r\n--x--\r\n`,
    ],
    ['no parts', 'multipart/form-data; boundary=x', '--x--\r\n'],
  ])('as multipart with %s is rejected', async (_what, contentType, body) => {
    const before = await stored()
    expectRejection(
      await call('POST', `/upload/${target.id}`, { body, headers: { 'content-type': contentType } }),
    )
    expect(await stored()).toBe(before)
  })
})

describe('headers', () => {
  it.each([
    ['if-match', '3'],
    ['if-match', '"3'],
    ['if-match', `"${'9'.repeat(2_000)}"`],
    ['if-match', '"1"; DROP TABLE users'],
    ['content-type', 'text/plain'],
    ['content-type', 'application/json-patch+json'],
    ['content-type', ';'],
    ['content-type', 'x'.repeat(5_000)],
    ['content-encoding', 'br'],
  ])('%s: %s is rejected on a write', async (name, value) => {
    const before = await stored()
    const answer = await call('PATCH', `/user/${target.id}`, {
      json: { name: 'No' },
      headers: { [name]: value },
    })
    expectRejection(answer)
    expect(await stored()).toBe(before)
  })

  it('too many or too large are rejected before the body is read', async () => {
    const answer = await sendRaw(service.url, {
      path: '/user',
      headers: { authorization, 'x-large': 'x'.repeat(20_000) },
    })
    expect(answer.status).toBe(431)
  })

  it('that would smuggle a second request are rejected', async () => {
    for (const framing of [
      'Content-Length: 4\r\nTransfer-Encoding: chunked',
      'Content-Length: 4\r\nContent-Length: 5',
      'Transfer-Encoding: chunked, identity',
      'Transfer-Encoding : chunked',
    ]) {
      const text = await exchange(
        `POST /user HTTP/1.1\r\nHost: x\r\n${framing}\r\n\r\n0\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n`,
      )
      expect(text, framing).toMatch(/^HTTP\/1\.1 400 /)
      expect(text, framing).not.toContain('"up"')
    }
  })
})

it('no test above caused an error in the log', () => {
  expect(service.log.filter(({ level }) => level === 'error')).toEqual([])
})
