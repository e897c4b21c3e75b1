// Authorization: every endpoint of the API for every kind of caller. An endpoint or a route without a row here fails.
import { randomUUID } from 'node:crypto'
import { afterAll, describe, expect, it } from 'vitest'
import { endpoints } from '../../../src/handler/http/routes/index.ts'
import { nodeRoutes } from '../../../src/handler/http/routes/node.ts'
import type { User } from '../../../src/model/user.ts'
import { checkPassword } from '../../../src/services/identity/check-password.ts'
import { startIssuer } from '../../support/issuer.ts'
import { png } from '../../support/picture.ts'
import { type Answer, type CallOptions, startService, uniqueName } from '../../support/service.ts'

const service = await startService()
const { call, issuer, makeUser } = service
// Another key pair with the issuer and key id of the real one.
const forger = await startIssuer({ hasOwnKeys: true })
afterAll(forger.close)
const picture = await png()

type Problem = { request_id?: string; errors?: { pointer: string }[] }

// Users whom no test changes.
const [bystander, someone, blocked] = [
  await makeUser(),
  await makeUser(),
  await makeUser({ status: 'BLOCKED' }),
]

const block = ({ id }: User) => call('PATCH', `/user/${id}`, { json: { status: 'BLOCKED' } })

/** Returns each caller's token for a request on `target`. */
const callers = {
  'a caller without a token': async () => null,
  'a malformed token': async () => 'nonsense',
  'a forged token': () =>
    forger.token(
      { iss: issuer.rules.issuer, username: uniqueName(), 'cognito:groups': ['admins'] },
      { kid: issuer.publicJwk.kid ?? '' },
    ),
  'a blocked administrator': async () =>
    issuer.token({ username: blocked.username, 'cognito:groups': ['admins'] }),
  'the user, blocked': async (target: User) => {
    await block(target)
    return issuer.token({ username: target.username })
  },
  'the user, blocked, in another case': async (target: User) => {
    await block(target)
    return issuer.token({ username: target.username.toUpperCase() })
  },
  'an administrator': async () => issuer.token({ username: uniqueName(), 'cognito:groups': ['admins'] }),
  'a machine with users/write': async () => issuer.machineToken('other users/write'),
  'a reader': async () => issuer.token({ username: uniqueName(), 'cognito:groups': ['x', 'readers'] }),
  'a machine with users/read': async () => issuer.machineToken('users/read'),
  'the user': async (target: User) => issuer.token({ username: target.username }),
  'the user with an ID token': async ({ username }: User) =>
    issuer.token({ 'cognito:username': username, token_use: 'id', aud: 'test-client', client_id: undefined }),
  'the user, also a reader': async ({ username }: User) =>
    issuer.token({ username, 'cognito:groups': ['readers'] }),
  'another user': async () => issuer.token({ username: someone.username }),
  'the username in another case': async ({ username }: User) =>
    issuer.token({ username: username.toUpperCase() }),
  'a person without a record': async () => issuer.token({ username: uniqueName() }),
  'a person whose app asked for users/write': async () =>
    issuer.token({ username: uniqueName(), scope: 'users/write users/read' }),
  'a machine without the API’s scopes': async () => issuer.machineToken('users/writer users users/write2'),
  'a person without a username whose app asked for users/write': async () =>
    issuer.token({ scope: 'users/write' }),
  'a person without a username and subject': async () => issuer.token({ sub: '', scope: 'users/write' }),
  'a member of similarly named groups': async () =>
    issuer.token({
      username: uniqueName(),
      'cognito:groups': ['admin', 'Admins', 'admins!', 'readers-admins'],
    }),
  'a person named NUL': async () => issuer.token({ username: '\0' }),
} satisfies Record<string, (target: User) => Promise<string | null>>
type Caller = keyof typeof callers
const tokenOf = (caller: Caller, target: User) =>
  (callers as Record<Caller, (target: User) => Promise<string | null>>)[caller](target)

const unauthenticated: Caller[] = [
  'a caller without a token',
  'a malformed token',
  'a forged token',
  'a blocked administrator',
  'the user, blocked',
  'the user, blocked, in another case',
]
/** Their tokens are made by blocking the user. */
const blocking: Caller[] = ['the user, blocked', 'the user, blocked, in another case']
const administrators: Caller[] = ['an administrator', 'a machine with users/write']
const readers: Caller[] = ['a reader', 'a machine with users/read']
const owners: Caller[] = ['the user', 'the user with an ID token', 'the user, also a reader']

type Row = {
  /** All other authenticated callers get 403. */
  allowed: Caller[]
  done: number
  request(target: User): [method: string, path: string, options: CallOptions]
}

/** An operation on a job that does not exist, which only administrators learn. */
const missingJob = (method: string, path: (id: string) => string): Row => ({
  allowed: administrators,
  done: 404,
  request: ({ id }) => [method, path(id), method === 'PUT' ? { body: 'x' } : {}],
})

const ofAdministrators = (done: number, request: ReturnType<Row['request']>): Row => ({
  allowed: administrators,
  done,
  request: () => request,
})

const rows: Record<string, Row> = {
  createImport: ofAdministrators(201, ['POST', '/import', { json: { format: 'ndjson' } }]),
  listImports: ofAdministrators(200, ['GET', '/import?limit=1', {}]),
  createExport: ofAdministrators(201, ['POST', '/export', { json: { format: 'ndjson' } }]),
  listExports: ofAdministrators(200, ['GET', '/export?limit=1', {}]),
  cancelExport: missingJob('DELETE', (id) => `/export/${id}`),
  getExport: missingJob('GET', (id) => `/export/${id}`),
  getExportFile: missingJob('GET', (id) => `/export/${id}/file`),
  getImport: missingJob('GET', (id) => `/import/${id}`),
  putImportFile: missingJob('PUT', (id) => `/import/${id}/file`),
  putImportHashes: missingJob('PUT', (id) => `/import/${id}/hashes`),
  startImport: missingJob('POST', (id) => `/import/${id}/start`),
  listImportErrors: missingJob('GET', (id) => `/import/${id}/errors`),
  listImportedUsers: missingJob('GET', (id) => `/import/${id}/users`),
  undoImport: missingJob('POST', (id) => `/import/${id}/undo`),
  cancelImport: missingJob('DELETE', (id) => `/import/${id}`),
  createBulk: {
    allowed: administrators,
    done: 201,
    request: () => ['POST', '/bulk', { json: { action: 'block', ids: [randomUUID()] } }],
  },
  listBulks: {
    allowed: administrators,
    done: 200,
    request: () => ['GET', '/bulk?limit=1', {}],
  },
  getBulk: missingJob('GET', (id) => `/bulk/${id}`),
  listBulkErrors: missingJob('GET', (id) => `/bulk/${id}/errors`),
  undoBulk: missingJob('POST', (id) => `/bulk/${id}/undo`),
  cancelBulk: missingJob('DELETE', (id) => `/bulk/${id}`),
  createUser: {
    allowed: administrators,
    done: 201,
    request: () => ['POST', '/user', { json: { username: uniqueName(), password: 'a-good-password' } }],
  },
  listUsers: {
    allowed: [...administrators, ...readers, 'the user, also a reader'],
    done: 200,
    request: () => ['GET', '/user?limit=1', {}],
  },
  getUser: {
    allowed: [...administrators, ...readers, ...owners],
    done: 200,
    request: ({ id }) => ['GET', `/user/${id}`, {}],
  },
  replaceUser: {
    allowed: [...administrators, ...owners],
    done: 200,
    request: ({ id, username }) => ['PUT', `/user/${id}`, { json: { username, name: 'Replaced' } }],
  },
  patchUser: {
    allowed: [...administrators, ...owners],
    done: 200,
    request: ({ id }) => ['PATCH', `/user/${id}`, { json: { name: 'Patched' } }],
  },
  eraseUser: {
    allowed: administrators,
    done: 204,
    request: ({ id }) => ['DELETE', `/user/${id}`, {}],
  },
  uploadAvatar: {
    allowed: [...administrators, ...owners],
    done: 200,
    request: ({ id }) => [
      'POST',
      `/upload/${id}`,
      { body: picture, headers: { 'content-type': 'image/png' } },
    ],
  },
}

/** Routes without a token. Of a user they serve the avatar only, whose path contains its hash. */
const openRoutes = [
  'GET /',
  'GET /avatars/{user}/{file}',
  'GET /docs',
  'GET /docs/{file}',
  'GET /health',
  'GET /openapi.json',
  'GET /ready',
]

it('every endpoint has a row, and every other route is listed as public', () => {
  expect(Object.keys(rows).sort()).toEqual(endpoints.map(({ operationId }) => operationId).sort())
  const routes = nodeRoutes(service.connections, { localIssuer: undefined, isStopping: () => false }).map(
    ({ method, path }) => `${method} ${path}`,
  )
  expect(routes.sort()).toEqual(openRoutes)
})

describe.each(Object.entries(rows))('%s', (_operation, { allowed, done, request }) => {
  it.each(Object.keys(callers) as Caller[])('for %s', async (caller) => {
    const expected = unauthenticated.includes(caller) ? 401 : allowed.includes(caller) ? done : 403
    const target = expected === done || blocking.includes(caller) ? await makeUser() : bystander
    const token = await tokenOf(caller, target)
    const before = await stored(target.id)
    const [method, path, options] = request(target)
    const answer = await call<Problem>(method, path, { ...options, token })
    expect(answer.status).toBe(expected)
    if (expected === done) return
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    const error = expected === 403 ? 'insufficient_scope' : token ? 'invalid_token' : undefined
    expect(answer.headers.get('www-authenticate')).toBe(
      `Bearer realm="user-directory"${error ? `, error="${error}"` : ''}`,
    )
    expect(await stored(target.id)).toEqual(before)
  })
})

it.each(Object.keys(callers) as Caller[])(
  'only administrators change an external id or attributes, or remove a password: %s',
  async (caller) => {
    const target = await makeUser({ external_id: uniqueName(), attributes: { plan: 'free' } })
    const expected = unauthenticated.includes(caller) ? 401 : administrators.includes(caller) ? 200 : 403
    for (const json of [
      { attributes: { plan: 'paid' } },
      { attributes: { plan: null } },
      { attributes: null },
      { external_id: null },
      { password: null },
    ]) {
      const token = await tokenOf(caller, target)
      const before = await stored(target.id)
      const answer = await call<Problem>('PATCH', `/user/${target.id}`, { json, token })
      expect([answer.status, json]).toEqual([expected, json])
      if (expected !== 200) expect(await stored(target.id)).toEqual(before)
    }
  },
)

function stored(id: string) {
  return service.connections.db
    .query((queries) => queries.execute(`SELECT * FROM users WHERE id = '${id}'`))
    .then(({ rows }) => rows)
}

/** An answer without the parts that differ between requests. */
function shape({ status, headers, body }: Answer<Problem>) {
  const { request_id: _, ...rest } = body
  const { date: _date, 'x-request-id': _id, ...kept } = Object.fromEntries(headers)
  return { status, kept, rest }
}

it('a forbidden caller gets the same answer for existing, missing and malformed ids', async () => {
  const target = await makeUser()
  const ids = [target.id, target.id.toUpperCase(), randomUUID(), 'x', '%00', "';--", '%FF']
  for (const caller of ['another user', 'a person without a record', 'a malformed token'] as const) {
    const token = await tokenOf(caller, target)
    for (const [operation, { request }] of Object.entries(rows)) {
      const [method, path, options] = request(target)
      if (!path.includes(target.id)) continue
      const answers: ReturnType<typeof shape>[] = []
      for (const id of ids)
        answers.push(shape(await call<Problem>(method, path.replace(target.id, id), { ...options, token })))
      for (const [at, answer] of answers.entries())
        expect(answer, `${caller} ${operation} ${ids[at]}`).toEqual(answers[0])
    }
  }
})

it('a forbidden caller is rejected before the body is read', async () => {
  const target = await makeUser()
  const token = await tokenOf('another user', target)
  for (const [method, path] of [
    ['POST', '/user'],
    ['PUT', `/user/${target.id}`],
    ['PATCH', `/user/${target.id}`],
    ['POST', `/upload/${target.id}`],
  ] as const)
    expect((await call(method, path, { token, body: '{', headers: { 'if-match': 'x' } })).status).toBe(403)
})

describe('a user', () => {
  it('may change every field of their own record except those of administrators', async () => {
    const fixed = { external_id: uniqueName(), attributes: { level: 1, plan: 'free' } }
    const me = await makeUser({ name: 'Before', status: 'ACTIVE', ...fixed })
    const token = await tokenOf('the user', me)
    const url = `/user/${me.id}`
    const own = (method: string, json: unknown) => call(method, url, { token, json })

    expect((await own('PATCH', { name: 'Mine' })).body.name).toBe('Mine')
    expect((await own('PUT', { ...me, name: 'Whole' })).status).toBe(200)
    // Unchanged values are accepted.
    const same = { ...fixed, username: me.username, status: 'ACTIVE', attributes: { plan: 'free', level: 1 } }
    expect((await own('PATCH', { ...same, name: 'Same' })).status).toBe(200)
    // Missing fields that the user may not clear are kept.
    expect((await own('PUT', { username: me.username, name: 'Same' })).body).toMatchObject(fixed)
    for (const change of [
      { status: 'BLOCKED' },
      { username: uniqueName() },
      { username: me.username.toUpperCase() },
      { external_id: null },
      { external_id: me.external_id?.toUpperCase() },
      { attributes: { level: 1, plan: 'free', more: true } },
      { password: null },
    ]) {
      expect((await own('PATCH', { ...change, name: 'No' })).status, JSON.stringify(change)).toBe(403)
      expect((await own('PUT', { ...me, ...change, name: 'No' })).status, JSON.stringify(change)).toBe(403)
    }
    expect((await call('GET', url)).body).toMatchObject({
      username: me.username,
      status: 'ACTIVE',
      name: 'Same',
      ...fixed,
    })
  })

  it('changes their own password with the current one', async () => {
    const [present, next] = ['a-good-password', 'another-good-one']
    for (const [method, more] of [
      ['PATCH', () => ({})],
      ['PUT', ({ username }: User) => ({ username })],
    ] as const) {
      const me = await makeUser({ password: present })
      const before = await stored(me.id)
      const token = await tokenOf('the user', me)
      const own = (json: object) =>
        call<Problem>(method, `/user/${me.id}`, { token, json: { ...more(me), ...json } })
      const refused = { status: 400, body: { errors: [{ pointer: '/current_password' }] } }

      expect(await own({ password: next })).toMatchObject(refused)
      expect(await own({ password: next, current_password: next })).toMatchObject(refused)
      expect(await own({ name: 'No', current_password: present })).toMatchObject(refused)
      expect(await own({ password: next, current_password: '' })).toMatchObject(refused)
      expect(await own({ password: next, current_password: present, status: 'BLOCKED' })).toMatchObject({
        status: 403,
      })
      expect(await stored(me.id)).toEqual(before)

      const answer = await own({ password: next, current_password: present })
      expect(answer.status).toBe(200)
      expect(answer.text).not.toMatch(/password/)
      const check = (password: string) =>
        checkPassword(service.connections, { username: me.username, password })
      expect(await check(present)).toBeUndefined()
      expect(await check(next)).toMatchObject({ id: me.id })
    }
  })

  it('needs no current password if an administrator changes it', async () => {
    const me = await makeUser()
    const json = { password: 'another-good-one' }
    expect((await call('PATCH', `/user/${me.id}`, { json })).status).toBe(200)
    const wrong = { ...json, current_password: 'wrong' }
    expect((await call('PATCH', `/user/${me.id}`, { json: wrong })).status).toBe(400)
  })

  it('has one of two passwords that were set at once with the same current one', async () => {
    const me = await makeUser()
    const token = await tokenOf('the user', me)
    const answers = await Promise.all(
      ['first-password', 'second-password'].map((password) =>
        call('PATCH', `/user/${me.id}`, {
          token,
          json: { password, current_password: 'a-good-password' },
        }),
      ),
    )
    // The first change ends the session of the second.
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 401])
  })

  it('has one of two passwords that administrators set at once', async () => {
    const me = await makeUser()
    const answers = await Promise.all(
      ['first-password', 'second-password'].map((password) =>
        call('PATCH', `/user/${me.id}`, { json: { password, current_password: 'a-good-password' } }),
      ),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400])
  })
})
