// CORS: pages of the origins in CORS_ORIGINS may call the API, and no others.
import { describe, expect, it } from 'vitest'
import { startService, uniqueName } from '../../support/service.ts'

const origin = 'https://office.example'
const second = 'http://localhost:5173'
const { call, makeUser, tokens } = await startService({ env: { CORS_ORIGINS: `${origin}, ${second}` } })
const { id } = await makeUser()

const exposed = 'Age, ETag, Location, Link, X-Cache, X-Request-Id, Retry-After'

function corsOf(headers: Headers): Record<string, string> {
  return Object.fromEntries([...headers].filter(([name]) => /^(access-control-|vary$)/.test(name)))
}

function preflight(path: string, method: string, from = origin) {
  return call('OPTIONS', path, {
    token: null,
    headers: {
      origin: from,
      'access-control-request-method': method,
      'access-control-request-headers': 'authorization,content-type,if-match',
    },
  })
}

describe('a preflight', () => {
  it.each([
    ['/user', 'POST', 'POST, GET, HEAD'],
    [`/user/${id}`, 'PATCH', 'GET, HEAD, PUT, PATCH, DELETE'],
    [`/upload/${id}`, 'POST', 'POST'],
  ])('of %s for %s needs no token and gets the methods of the path', async (path, method, methods) => {
    for (const from of [origin, second]) {
      const { status, text, headers } = await preflight(path, method, from)
      expect([status, text]).toEqual([204, ''])
      expect(corsOf(headers)).toEqual({
        vary: 'Origin',
        'access-control-allow-origin': from,
        'access-control-expose-headers': exposed,
        'access-control-allow-methods': methods,
        'access-control-allow-headers':
          'Authorization, Cache-Control, Content-Type, If-Match, If-None-Match, X-Request-Id',
        'access-control-max-age': '7200',
      })
    }
  })

  it.each([
    'https://evil.example',
    'https://office.example.evil.example',
    'http://office.example',
    'null',
    `${origin}/`,
  ])('from %s gets no CORS headers but Vary', async (from) => {
    const { status, headers } = await preflight('/user', 'GET', from)
    expect([status, corsOf(headers)]).toEqual([405, { vary: 'Origin' }])
  })

  it('of an unknown path is a 404 that the page may read', async () => {
    const { status, headers } = await preflight('/none', 'GET')
    expect([status, headers.get('access-control-allow-origin')]).toEqual([404, origin])
  })
})

describe('an answer', () => {
  const from = { origin }

  it('names the origin and the readable headers at every status', async () => {
    const created = await call('POST', '/user', {
      json: { username: uniqueName(), password: 'a-good-password' },
      headers: from,
    })
    const answers = [
      created,
      await call('GET', `/user/${id}`, { headers: from }),
      await call('GET', `/user/${id}`, { headers: { ...from, 'if-none-match': '"1"' } }),
      await call('GET', '/user?limit=1', { headers: from }),
      await call('GET', '/user?nope=1', { headers: from }),
      await call('GET', '/user', { token: null, headers: from }),
      await call('GET', '/user', { token: 'x.y.z', headers: from }),
      await call('POST', '/user', { token: tokens.reader, json: {}, headers: from }),
      await call('PATCH', `/user/${id}`, { json: {}, headers: { ...from, 'if-match': '"9"' } }),
      await call('GET', '/none', { headers: from }),
      await call('OPTIONS', '/user', { headers: from }),
    ]
    expect(answers.map(({ status }) => status)).toEqual([
      201, 200, 304, 200, 400, 401, 401, 403, 412, 404, 405,
    ])
    for (const { headers } of answers)
      expect(corsOf(headers)).toEqual({
        vary: 'Origin',
        'access-control-allow-origin': origin,
        'access-control-expose-headers': exposed,
      })
  })

  it('to another origin, or to a request without one, has only Vary', async () => {
    for (const headers of [{ origin: 'https://evil.example' }, { origin: 'null' }, {}] as Record<
      string,
      string
    >[]) {
      const answer = await call('GET', `/user/${id}`, { headers })
      expect([answer.status, corsOf(answer.headers)]).toEqual([200, { vary: 'Origin' }])
    }
  })
})

it('without CORS_ORIGINS answers have no CORS headers, and a preflight is 405', async () => {
  const { call } = await startService()
  for (const [method, status] of [
    ['OPTIONS', 405],
    ['GET', 200],
  ] as const) {
    const answer = await call(method, '/user', {
      headers: { origin, 'access-control-request-method': 'GET' },
    })
    expect([answer.status, corsOf(answer.headers)]).toEqual([status, {}])
  }
})
