// API Gateway's events behind custom domains and stages: the path of the API, and the path for clients.
import { expect, it } from 'vitest'
import { readEvent, toGatewayReply } from '../../../src/handler/lambda/gateway-event.ts'

type Row = { path: string; route?: string; rest?: string; sent?: string; ours: string; prefix: string }

function rest({ path, route, rest, sent = path }: Row): unknown {
  return {
    httpMethod: 'GET',
    path,
    resource: route,
    pathParameters: rest === undefined ? null : { proxy: rest },
    requestContext: { stage: 'live', path: sent },
  }
}

function http({ path, route, rest }: Row): unknown {
  return {
    version: '2.0',
    rawPath: path,
    routeKey: route?.startsWith('/') ? `ANY ${route}` : route,
    ...(rest !== undefined && { pathParameters: { proxy: rest } }),
    requestContext: { stage: 'live', http: { method: 'GET' } },
  }
}

const id = '0197f3c2-6d1a-7c54-9a0e-3f6f2a1b8c77'
const encoded = id.replaceAll('-', '%2D')
const routes: [path: string, route: string, rest: string | undefined, ours: string, base: string][] = [
  ['/v1/user', '/user', undefined, '/user', '/v1'],
  [`/v1/user/${id}`, '/user/{id}', undefined, `/user/${id}`, '/v1'],
  [`/orders/v1/user/${id}`, '/user/{id}', undefined, `/user/${id}`, '/orders/v1'],
  [`/v1/user/${encoded}`, '/user/{id}', undefined, `/user/${encoded}`, '/v1'],
  ['/v1/user', '/{proxy+}', 'user', '/user', '/v1'],
  [`/v1/user/${encoded}`, '/{proxy+}', `user/${encoded}`, `/user/${encoded}`, '/v1'],
  [`/v1/user/${encoded}`, '/{proxy+}', `user/${id}`, `/user/${encoded}`, '/v1'],
  ['/user/user', '/{proxy+}', 'user', '/user', '/user'],
  ['/user/user/user', '/user/{id}', undefined, '/user/user', '/user'],
  ['/api/user', '/api/{proxy+}', 'user', '/user', '/api'],
  ['/v1/user/', '/user', undefined, '/user/', '/v1'],
  ['/v1/user/', '/{proxy+}', 'user', '/user/', '/v1'],
  ['/v1/user/%zz', '/{proxy+}', 'user/%zz', '/user/%zz', '/v1'],
  ['/v1', '/', undefined, '', '/v1'],
  ['/user', '/{proxy+}', 'user', '/user', ''],
  ['/user', '/user', undefined, '/user', ''],
  ['/user', '/{proxy+}', 'something/else', '/user', ''],
  ['/console/session', '/console/{proxy+}', 'session', '/console/session', ''],
  ['/v1/console/console/x', '/console/{proxy+}', 'console/x', '/console/console/x', '/v1'],
  ['/consoles/user', '/consoles/{proxy+}', 'user', '/user', '/consoles'],
]

it.each(routes)(
  '%s on the route %s with the rest %s has the path %j after %j',
  (path, route, rest_, ours, base) => {
    const row = { path, route, ...(rest_ !== undefined && { rest: rest_ }), ours, prefix: base }
    for (const event of [rest(row), http(row)]) {
      const request = readEvent(event)
      expect([request.path, request.prefix]).toEqual([ours, base])
      const { headers } = toGatewayReply(request, {
        headers: { Location: '/user/1', Link: '</user?cursor=x>; rel="next"' },
      })
      expect(headers).toEqual({ location: `${base}/user/1`, link: `<${base}/user?cursor=x>; rel="next"` })
    }
  },
)

it('the path of an HTTP API event includes the stage; that of a REST API event does not', () => {
  const row = { path: '/live/user', route: '$default', ours: '/user', prefix: '/live' }
  for (const event of [rest(row), http(row)]) {
    const { path, prefix } = readEvent(event)
    expect([path, prefix]).toEqual(['/user', '/live'])
  }
  const { path, prefix } = readEvent(
    rest({ ...row, path: '/user', sent: '/live/user', route: '/{proxy+}', rest: 'user' }),
  )
  expect([path, prefix]).toEqual(['/user', '/live'])
})

it('behind CloudFront, which adds the stage itself, clients write nothing before our paths', () => {
  const event = rest({
    path: '/user',
    sent: '/live/user',
    route: '/{proxy+}',
    rest: 'user',
    ours: '',
    prefix: '',
  })
  const forwarded = { ...(event as object), headers: { 'X-Forwarded-Prefix': '/' } }
  expect(readEvent(forwarded)).toMatchObject({ path: '/user', prefix: '' })
  const other = { ...(event as object), headers: { 'X-Forwarded-Prefix': '//evil.example' } }
  expect(readEvent(other)).toMatchObject({ path: '/user', prefix: '/live' })
})
