// Accepts current tokens of the issuer for this service. Rejects all others without a reason.
import { createHmac, createSign, generateKeyPairSync, randomUUID } from 'node:crypto'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import { exportSPKI, importJWK } from 'jose'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { openTokenVerifier } from '../../../src/connection/tokens/token-verifier.ts'
import { createTokenPolicy, tokenRules } from '../../../src/services/identity/token-policy.ts'
import { atEnd } from '../../support/cleanup.ts'
import { clientId, startIssuer } from '../../support/issuer.ts'
import { startService, uniqueName } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

const service = await startService()
const { call, issuer } = service
const admin = { username: 'root', 'cognito:groups': ['admins'] }
const now = () => Math.floor(Date.now() / 1000)

const ask = (token: string | null) => call<Record<string, unknown>>('GET', '/user?limit=1', { token })

const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const parts = (token: string) => token.split('.') as [header: string, payload: string, signature: string]

describe('accepts a token', () => {
  it.each([
    ['an access token, known by its client_id', admin],
    [
      'an identity token, known by its aud',
      { ...admin, token_use: 'id', aud: clientId, client_id: undefined },
    ],
    [
      'one for several audiences',
      { ...admin, token_use: 'id', aud: ['other', clientId], client_id: undefined },
    ],
    ['one with many claims', { ...admin, padding: 'x'.repeat(8_000) }],
    ['one that has become valid', { ...admin, nbf: now() - 5 }],
  ])('%s', async (_name, claims) => {
    expect((await ask(await issuer.token(claims))).status).toBe(200)
  })

  it.each([
    ['a group is a text', { 'cognito:groups': 'admins' }],
    ['a group is in another claim', { groups: ['admins'] }],
    ['a group has another’s name in its own', { 'cognito:groups': ['readers,admins', ' admins', 'admins '] }],
  ])('but gives no role where %s', async (_name, claims) => {
    expect((await ask(await issuer.token({ username: uniqueName(), ...claims }))).status).toBe(403)
  })

  it('if the clocks differ by a few seconds', async () => {
    for (const claims of [
      () => ({ nbf: now() + 8 }),
      () => ({ iat: now() + 8 }),
      () => ({ auth_time: now() + 8 }),
      () => ({ exp: now() - 1 }),
    ])
      expect((await ask(await issuer.token({ ...admin, ...claims() }))).status, String(claims)).toBe(200)
  })

  it('with an unencoded header, too', async () => {
    expect((await ask(await issuer.rawToken(admin, {}))).status).toBe(200)
  })

  it.each(['JWT', 'at+jwt', 'application/at+JWT'])('of the type %s', async (typ) => {
    expect((await ask(await issuer.token(admin, { typ }))).status).toBe(200)
  })

  it('of a machine client', async () => {
    expect((await ask(await issuer.machineToken('users/read'))).status).toBe(200)
  })

  it('whatever the case of the scheme', async () => {
    const token = await issuer.token(admin)
    for (const scheme of ['Bearer', 'bearer', 'BEARER'])
      expect(
        (await call('GET', '/user', { token: null, headers: { authorization: `${scheme} ${token}` } }))
          .status,
      ).toBe(200)
  })
})

describe('rejects a token', () => {
  // Keys and addresses in a token itself are never used, so this server gets no requests.
  let visits = 0
  const trap = createServer((_request, response) => {
    visits++
    response.end(JSON.stringify({ keys: [own.publicJwk] }))
  })
  let own: Awaited<ReturnType<typeof startIssuer>>
  let trapUrl = ''
  beforeAll(async () => {
    own = await startIssuer({ hasOwnKeys: true })
    await new Promise<void>((done) => trap.listen(0, '127.0.0.1', done))
    trapUrl = `http://127.0.0.1:${(trap.address() as AddressInfo).port}/jwks.json`
  })
  afterAll(async () => {
    await own.close()
    trap.close()
  })

  const kid = issuer.publicJwk.kid ?? ''
  const asUs = { iss: issuer.rules.issuer, ...admin }
  const unsigned = async (
    header: Record<string, unknown>,
    sign: (input: string) => string | Promise<string>,
  ) => {
    const [, payload] = parts(await issuer.token(admin))
    const input = `${base64({ kid, ...header })}.${payload}`
    return `${input}.${await sign(input)}`
  }
  const publicPem = async () =>
    exportSPKI((await importJWK(issuer.publicJwk, 'RS256')) as Parameters<typeof exportSPKI>[0])

  const bad: Record<string, () => Promise<string | null> | string | null> = {
    'there is none': () => null,
    'it is empty': () => '',
    'it is no JWT': () => 'x.y.z',
    'its parts are too few': async () =>
      parts(await issuer.token(admin))
        .slice(0, 2)
        .join('.'),
    'its parts are too many': async () => `${await issuer.token(admin)}.x`,
    'it is encrypted': () => `${base64({ alg: 'RSA-OAEP', enc: 'A256GCM', kid })}.a.b.c.d`,
    'its payload is no object': () => `${base64({ alg: 'RS256', kid })}.${base64([])}.${base64('x')}`,
    'its signature is missing': async () =>
      `${parts(await issuer.token(admin))
        .slice(0, 2)
        .join('.')}.`,
    'alg is none': () => unsigned({ alg: 'none' }, () => ''),
    'alg is None': () => unsigned({ alg: 'None' }, () => ''),
    'alg is none, with a signature': async () =>
      unsigned({ alg: 'none' }, async () => parts(await issuer.token(admin))[2]),
    'alg is missing': async () => unsigned({}, async () => parts(await issuer.token(admin))[2]),
    'it is signed with the public key as an HMAC secret (PEM)': () =>
      unsigned({ alg: 'HS256' }, async (input) =>
        createHmac('sha256', await publicPem())
          .update(input)
          .digest('base64url'),
      ),
    'it is signed with the public key as an HMAC secret (modulus)': () =>
      unsigned({ alg: 'HS256' }, (input) =>
        createHmac('sha256', Buffer.from(issuer.publicJwk.n ?? '', 'base64url'))
          .update(input)
          .digest('base64url'),
      ),
    'it is signed with the right key by another algorithm (RS512)': () =>
      issuer.token(admin, { alg: 'RS512' }),
    'it is signed with the right key by another algorithm (PS256)': () =>
      issuer.token(admin, { alg: 'PS256' }),
    'it is signed on a curve': () =>
      unsigned({ alg: 'ES256' }, (input) =>
        createSign('sha256')
          .update(input)
          .sign({
            key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
            dsaEncoding: 'ieee-p1363',
          })
          .toString('base64url'),
      ),
    'it is signed with another key under the right name': () => own.token(asUs, { kid }),
    'its key is unknown': () => own.token(asUs),
    'its key has no name': () => own.token(asUs, { kid: undefined as unknown as string }),
    'the name of its key is a path': () => own.token(asUs, { kid: '../../../dev/null' }),
    'it brings its own key (jwk)': () => own.token(asUs, { kid, jwk: own.publicJwk }),
    'it says where its key is (jku)': () => own.token(asUs, { jku: trapUrl }),
    'it says where its key is (x5u)': () => own.token(asUs, { kid, x5u: trapUrl }),
    'it is of another pool': () => own.token(admin),
    'its issuer is missing': () => issuer.token({ ...admin, iss: undefined }),
    'its issuer only begins like ours': () => issuer.token({ ...admin, iss: `${issuer.rules.issuer}/` }),
    'its client is another': () => issuer.token({ ...admin, client_id: 'other' }),
    'its client is missing': () => issuer.token({ ...admin, client_id: undefined }),
    'its audience is another': () =>
      issuer.token({ ...admin, token_use: 'id', aud: 'other', client_id: undefined }),
    'it is of another client, for us by another claim': () =>
      issuer.token({ ...admin, client_id: 'other', aud: clientId }),
    'its token_use is another': () => issuer.token({ ...admin, token_use: 'refresh' }),
    'its token_use is missing': () => issuer.token({ ...admin, token_use: undefined }),
    'it has expired': () => issuer.token({ ...admin, iat: now() - 7_200, exp: now() - 11 }),
    'it never expires': () => issuer.token({ ...admin, exp: undefined }),
    'its expiry is no number': () => issuer.token({ ...admin, exp: '9999999999' as unknown as number }),
    'it is not yet valid': () => issuer.token({ ...admin, nbf: now() + 60 }),
    'it was issued in the future': () => issuer.token({ ...admin, iat: now() + 60 }),
    'its sign-in lies in the future': () => issuer.token({ ...admin, auth_time: now() + 60 }),
    ...Object.fromEntries(
      [
        { crit: ['exp'], exp: 1 },
        { crit: ['urn:example:unknown'], 'urn:example:unknown': true },
        { crit: [] },
        { crit: 'exp' },
        { crit: null },
        { crit: ['b64'], b64: false },
        { crit: ['b64'], b64: true },
        { b64: false },
        { typ: 'logout+jwt' },
        { typ: 'secevent+jwt' },
        { typ: 'dpop+jwt' },
        { typ: 7 },
        { typ: '' },
      ].map((header) => [`its header has ${JSON.stringify(header)}`, () => issuer.rawToken(admin, header)]),
    ),
    'its scope is a list': () => issuer.token({ sub: clientId, scope: ['users/write'] }),
  }
  it.each(Object.keys(bad))('when %s', async (name) => {
    const token = await bad[name]?.()
    const answer = await ask(token ?? null)
    const expected = await ask(token ? 'x.y.z' : null)
    expect(answer.status).toBe(401)
    // RFC 6750, section 3.1.
    expect(answer.headers.get('www-authenticate')).toBe(
      `Bearer realm="user-directory"${token ? ', error="invalid_token"' : ''}`,
    )
    // Nothing tells one reason from another.
    const { request_id: id, ...body } = answer.body
    const { request_id: _, ...expectedBody } = expected.body
    expect(body).toEqual(expectedBody)
    const headers = (of: typeof answer) =>
      [...of.headers].filter(([header]) => header !== 'date' && header !== 'x-request-id')
    expect(headers(answer)).toEqual(headers(expected))
    expect(id).toBe(answer.headers.get('x-request-id'))
    expect(visits).toBe(0)
  })

  it('if any one character is changed', async () => {
    const token = await issuer.token(admin)
    expect((await ask(token)).status).toBe(200)
    await fc.assert(
      fc.asyncProperty(
        // Of the last character two bits stand for nothing.
        fc.nat(token.length - 2),
        fc.constantFrom(...'ABCxyz019-_.='.split('')),
        async (at, character) => {
          fc.pre(token[at] !== character)
          const changed = token.slice(0, at) + character + token.slice(at + 1)
          expect((await ask(changed)).status).toBe(401)
        },
      ),
      { numRuns: 300 },
    )
  })

  it('if its payload is changed under the old signature', async () => {
    const [header, payload, signature] = parts(await issuer.token({ username: uniqueName() }))
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
    const raised = `${header}.${base64({ ...claims, 'cognito:groups': ['admins'] })}.${signature}`
    expect((await ask(raised)).status).toBe(401)
  })

  it('outside the Authorization header', async () => {
    const token = await issuer.token(admin)
    for (const [path, headers] of [
      [`/user?access_token=${token}`, {}],
      ['/user', { cookie: `token=${token}` }],
      ['/user', { 'x-access-token': token }],
      ['/user', { authorization: token }],
      ['/user', { authorization: `Basic ${token}` }],
      ['/user', { authorization: `Bearer ${token}, Bearer ${token}` }],
    ] as const)
      expect((await call('GET', path, { token: null, headers })).status, path).toBe(401)
  })

  it('as soon as it expires, even if it was accepted before', async () => {
    // Within the leeway, and soon beyond.
    const token = await issuer.token({ ...admin, exp: now() - 7 })
    expect((await ask(token)).status).toBe(200)
    await until('the token to expire', async () => (await ask(token)).status === 401)
  })

  it('without writing it to the log', async () => {
    const tokens = [await issuer.token(admin), await issuer.token({ ...admin, exp: now() - 60 })]
    for (const token of tokens) await ask(token)
    for (const token of tokens) expect(JSON.stringify(service.log)).not.toContain(parts(token)[2])
  })
})

describe("the issuer's keys", () => {
  it('are used at once when they are new, without a restart', async () => {
    const service = await startService()
    expect((await service.call('GET', '/user')).status).toBe(200)
    const next = await startIssuer({ hasOwnKeys: true })
    atEnd(next.close)
    service.issuer.keys = [...service.issuer.keys, next.publicJwk]
    const token = await next.token({ ...admin, iss: service.issuer.rules.issuer })
    expect((await service.call('GET', '/user', { token })).status).toBe(200)
  })

  it('that cannot be fetched cause a 503 with Retry-After until they can', async () => {
    const service = await startService()
    const { issuer } = service
    for (const answer of [
      (response: ServerResponse) => void response.writeHead(500).end(),
      (response: ServerResponse) => void response.end('<html>'),
      (response: ServerResponse) => void response.end('{"keys":{}}'),
      (response: ServerResponse) => void response.destroy(),
      // Never answered.
      () => {},
    ]) {
      issuer.answer = answer
      const refused = await service.call('GET', '/user')
      expect(refused.status).toBe(503)
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    }
    issuer.answer = undefined
    expect((await service.call('GET', '/user')).status).toBe(200)
    // Once they are known, the issuer may go.
    await issuer.close()
    const token = await issuer.token(admin)
    expect((await service.call('GET', '/user', { token })).status).toBe(200)
  })

  it('that the issuer has withdrawn are accepted for at most an hour', async () => {
    const issuer = await startIssuer()
    atEnd(issuer.close)
    const verifier = openTokenVerifier(createTokenPolicy(issuer.rules))
    const token = await issuer.token(admin)
    const { kid: _, ...other } = issuer.publicJwk
    expect(await verifier.verify(token)).toBeDefined()
    issuer.keys = [{ ...other, kid: 'another' }]
    expect(await verifier.verify(await issuer.token(admin))).toBeDefined()
    const startedAt = performance.now()
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => startedAt + 3_600_001)
    await verifier.verify(token)
    clock.mockRestore()
    await until('the key to be forgotten', async () => (await verifier.verify(token)) === undefined)
  })

  it('are not fetched repeatedly for unknown key ids', async () => {
    const service = await startService()
    await service.call('GET', '/user')
    const before = service.issuer.fetches()
    const strangers = Array.from({ length: 200 }, () => service.issuer.token(admin, { kid: randomUUID() }))
    const answers = await Promise.all(
      strangers.map(async (token) => (await service.call('GET', '/user', { token: await token })).status),
    )
    expect(new Set(answers)).toEqual(new Set([401]))
    expect(service.issuer.fetches() - before).toBeLessThanOrEqual(2)
    expect((await service.call('GET', '/user')).status).toBe(200)
  })
})

it('an insufficient token is a 403 with RFC 6750’s error code', async () => {
  const answer = await ask(await issuer.token({ username: uniqueName() }))
  expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([
    403,
    'Bearer realm="user-directory", error="insufficient_scope"',
  ])
})

it('derives the issuer and the key URL of a Cognito pool', () => {
  expect(
    tokenRules({ kind: 'cognito', userPoolId: 'eu-west-1_AbCdEfGhI', clientIds: ['one', 'two'] }),
  ).toEqual({
    issuer: 'https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI',
    jwksUri: 'https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI/.well-known/jwks.json',
    audience: ['one', 'two'],
    tokenUse: 'required',
  })
})

it('public routes need no token and reveal nothing about users', async () => {
  const { username } = await service.makeUser()
  for (const path of ['/health', '/ready', '/openapi.json', '/docs']) {
    const answer = await call('GET', path, { token: null })
    expect([path, answer.status]).toEqual([path, 200])
    expect(answer.text).not.toContain(username)
  }
})
