// The functions beyond the API's own tests: events, identities, failing starts, and the daily job.
import { join } from 'node:path'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import type { GatewayReply } from '../../../src/handler/lambda/gateway-event.ts'
import { metrics } from '../../../src/platform/metrics.ts'
import { freshDatabase } from '../../support/database.ts'
import { packagedFunctions } from '../../support/functions.ts'
import { clientId } from '../../support/issuer.ts'
import { startFunction } from '../../support/lambda.ts'
import { png } from '../../support/picture.ts'
import { startRedis } from '../../support/redis.ts'
import { startS3 } from '../../support/s3.ts'
import { realServices, startService, uniqueName } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

const { folder } = await packagedFunctions()

const issuer = 'https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI'
const env = {
  ...realServices(),
  NODE_ENV: 'production',
  DATABASE_URL: await freshDatabase(),
  COGNITO_USER_POOL_ID: 'eu-west-1_AbCdEfGhI',
  COGNITO_CLIENT_ID: `other,${clientId}`,
  STAGE: 'test',
  AWS_LAMBDA_FUNCTION_VERSION: '7',
}
const lines: string[] = []
const { invoke, close } = await startFunction(join(folder, 'api.js'), env, (line) => lines.push(line))
afterAll(close)

const admin = {
  iss: issuer,
  sub: '7b1d',
  token_use: 'access',
  client_id: clientId,
  username: 'root',
  'cognito:groups': 'readers,admins',
}

/** An event of API Gateway for GET /user, with parts replaced. */
function restEvent(
  claims: Record<string, unknown> | undefined,
  parts: Record<string, unknown> = {},
): Record<string, unknown> {
  return {
    httpMethod: 'GET',
    path: '/user',
    headers: { Host: 'abc.execute-api.eu-west-1.amazonaws.com' },
    multiValueHeaders: { Host: ['abc.execute-api.eu-west-1.amazonaws.com'] },
    queryStringParameters: null,
    multiValueQueryStringParameters: null,
    body: null,
    isBase64Encoded: false,
    requestContext: {
      requestId: 'c6af9ac6-7b61-11e6-9a41-93e8deadbeef',
      stage: 'live',
      ...(claims && { authorizer: { claims } }),
    },
    ...parts,
  }
}
type Trace = { header?: string; own?: string }

const send = async (event: unknown) => {
  const answer = (await invoke(event)) as GatewayReply
  return { ...answer, json: answer.body === '' ? undefined : JSON.parse(answer.body) }
}
const post = (body: string, parts: Record<string, unknown> = {}) =>
  restEvent(admin, {
    httpMethod: 'POST',
    multiValueHeaders: { 'Content-Type': ['application/json'] },
    body,
    ...parts,
  })

describe('the caller', () => {
  it('is identified by the authorizer’s claims', async () => {
    expect((await send(restEvent(admin))).statusCode).toBe(200)
    const machine = {
      iss: issuer,
      sub: clientId,
      client_id: clientId,
      token_use: 'access',
      scope: 'users/read',
    }
    expect((await send(restEvent(machine))).statusCode).toBe(200)
  })

  it.each([
    ['adds nothing', undefined],
    ['has no claims', {}],
    ['belongs to another pool', { ...admin, iss: `${issuer}X` }],
    ['accepted another client’s token', { ...admin, client_id: 'stranger' }],
    ['accepted a refresh token', { ...admin, token_use: 'refresh' }],
    ['does not name the token’s use', { ...admin, token_use: undefined }],
  ])('is unauthenticated if the authorizer %s', async (_name, claims) => {
    const answer = await send(restEvent(claims))
    expect([answer.statusCode, answer.json.type]).toEqual([401, 'urn:problem:unauthenticated'])
  })

  it('is never identified by a header, even with a valid token', async () => {
    const service = await startService()
    for (const headers of [
      { Authorization: [`Bearer ${service.tokens.admin}`] },
      {
        'X-Amzn-Oidc-Identity': ['root'],
        'X-User': ['root'],
        'X-Apigateway-Claims': [JSON.stringify(admin)],
      },
    ])
      expect((await send(restEvent(undefined, { multiValueHeaders: headers }))).statusCode).toBe(401)
  })

  it('of an HTTP API is read from its own field only', async () => {
    const http = (authorizer: unknown) => ({
      version: '2.0',
      rawPath: '/user',
      rawQueryString: '',
      headers: {},
      requestContext: { stage: '$default', http: { method: 'GET' }, authorizer },
    })
    const claims = { ...admin, 'cognito:groups': '[admins]' }
    expect((await send(http({ jwt: { claims } }))).statusCode).toBe(200)
    expect((await send(http({ claims }))).statusCode).toBe(401)
    expect((await send(http({ lambda: claims }))).statusCode).toBe(401)
  })
})

describe('an event', () => {
  it('with a base64 body is decoded', async () => {
    const body = JSON.stringify({ username: 'grüße', password: 'a-good-password' })
    const made = await send(post(Buffer.from(body).toString('base64'), { isBase64Encoded: true }))
    expect([made.statusCode, made.json.username]).toEqual([201, 'grüße'])
    expect(made.headers.location).toBe(`/user/${made.json.id}`)
    const path = `/user/${made.json.id}`
    const again = await send(
      restEvent(admin, { path, multiValueHeaders: { 'If-None-Match': ['"9"', '"1"'] } }),
    )
    expect([again.statusCode, again.body]).toEqual([304, ''])
    expect((await send(restEvent(admin, { path, httpMethod: 'DELETE' }))).statusCode).toBe(204)
  })

  it.each([
    [
      'of a REST API',
      '/live',
      (method: string, body: string | null) => ({
        ...post(body ?? ''),
        httpMethod: method,
        body,
        requestContext: { path: '/live/user', stage: 'live', authorizer: { claims: admin } },
      }),
    ],
    [
      'of a REST API on a custom domain',
      '/v1',
      (method: string, body: string | null) => ({
        ...post(body ?? ''),
        httpMethod: method,
        path: '/v1/user',
        resource: '/user',
        body,
        requestContext: { path: '/v1/user', stage: 'live', authorizer: { claims: admin } },
      }),
    ],
    [
      'of an HTTP API',
      '/live',
      (method: string, body: string | null) => ({
        version: '2.0',
        rawPath: '/live/user',
        rawQueryString: method === 'GET' ? 'limit=1' : '',
        headers: { 'content-type': 'application/json' },
        body,
        requestContext: {
          stage: 'live',
          http: { method },
          authorizer: { jwt: { claims: { ...admin, 'cognito:groups': '[admins]' } } },
        },
      }),
    ],
  ])('%s is answered with client paths, prefixed by %s', async (_of, base, event) => {
    const body = () => JSON.stringify({ username: uniqueName(), password: 'a-good-password' })
    await send(event('POST', body()))
    const made = await send(event('POST', body()))
    expect(made.headers.location).toBe(`${base}/user/${made.json.id}`)
    const page = await send({ ...event('GET', null), multiValueQueryStringParameters: { limit: ['1'] } })
    expect(page.headers.link).toMatch(new RegExp(`^<${base}/user\\?[^>]+>; rel="next"$`))
  })

  it('with a repeated parameter is rejected', async () => {
    const answer = await send(
      restEvent(admin, {
        queryStringParameters: { limit: '2' },
        multiValueQueryStringParameters: { limit: ['1', '2'], search: ['50 % & more'] },
      }),
    )
    expect(answer.statusCode).toBe(400)
    expect(answer.json.errors).toEqual([{ parameter: 'limit', message: 'must be sent only once' }])
  })

  it('without multi-value lists is read from the single values', async () => {
    const { multiValueHeaders: _, multiValueQueryStringParameters: __, ...event } = restEvent(admin)
    expect((await send({ ...event, queryStringParameters: { limit: '0' } })).statusCode).toBe(400)
  })

  it.each(['/user/%2e%2e', '/user/../..', '/user/a b?c#d', '/user/%', '//evil.example/user', '/user/ü', ''])(
    'whose path is %j leads nowhere',
    async (path) => {
      expect([400, 404]).toContain((await send(restEvent(admin, { path }))).statusCode)
    },
  )

  it('has the gateway’s request id in the log and the answer', async () => {
    const { headers } = await send(restEvent(admin))
    expect(headers['x-request-id']).toBe('c6af9ac6-7b61-11e6-9a41-93e8deadbeef')
    const line = await until('the line', () => lines.find((line) => line.includes('c6af9ac6-7b61')))
    expect(JSON.parse(line)).toMatchObject({
      level: 'INFO',
      message: 'request',
      route: 'GET /user',
      caller: 'admin',
    })
  })

  it.each([
    ['the gateway’s', { header: 'Self=1-0-1;Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1' }, true],
    ['the function’s own', { own: 'Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8' }, true],
    ['no malformed', { header: 'Root="}{"' }, false],
  ])('has %s trace id in the log', async (_which, { header, own }: Trace, isKnown) => {
    const lines: string[] = []
    const traced = await startFunction(
      join(folder, 'api.js'),
      { ...env, ...(own && { _X_AMZN_TRACE_ID: own }) },
      (line) => lines.push(line),
    )
    onTestFinished(traced.close)
    await traced.invoke(
      restEvent(admin, header ? { multiValueHeaders: { 'X-Amzn-Trace-Id': [header] } } : {}),
    )
    const line = await until('the line', () => lines.find((line) => line.includes('"request"')))
    expect(JSON.parse(line).xray_trace_id).toBe(isKnown ? '1-5759e988-bd862e3fe1be46a994272793' : undefined)
  })

  it('is measured: duration, failure and cache result', async () => {
    const made = await send(post(JSON.stringify({ username: 'counted', password: 'a-good-password' })))
    const path = `/user/${made.json.id}`
    for (const request_id of ['counted-1', 'counted-2'])
      await send(restEvent(admin, { path, multiValueHeaders: { 'X-Request-Id': [request_id] } }))
    const line = await until('the line', () => lines.find((line) => line.includes('counted-2')))
    const { _aws, ...fields } = JSON.parse(line)
    expect(_aws.CloudWatchMetrics[0].Metrics.map(({ Name }: { Name: string }) => Name)).toEqual(
      Object.keys(metrics.request.units),
    )
    // Once for the stage, and once for the new version of a deployment.
    expect(_aws.CloudWatchMetrics.map(({ Dimensions }: { Dimensions: string[][] }) => Dimensions)).toEqual([
      [['Service', 'Stage']],
      [['Service', 'Stage', 'Version']],
    ])
    expect(fields).toMatchObject({
      ...metrics.request.dimensions,
      Stage: 'test',
      Version: '7',
      Requests: 1,
      Latency: fields.duration_ms,
      ServerErrors: 0,
      Refused: 0,
      CacheHits: 1,
      CacheMisses: 0,
      CacheBypasses: 0,
    })
  })

  it('can carry an image of 4.4 MB, but Lambda rejects 5 MB', async () => {
    const made = await send(post(JSON.stringify({ username: uniqueName(), password: 'a-good-password' })))
    const upload = (bytes: Uint8Array) =>
      post(Buffer.from(bytes).toString('base64'), {
        path: `/upload/${made.json.id}`,
        multiValueHeaders: { 'Content-Type': ['image/png'] },
        isBase64Encoded: true,
      })
    const image = (await png()) as Uint8Array
    // Bytes after the end of an image are not part of it.
    const padded = (megabytes: number) => Buffer.concat([image, Buffer.alloc(megabytes * 1_000_000)])
    expect((await send(upload(padded(4.4)))).statusCode).toBe(200)
    await expect(invoke(upload(padded(5)))).rejects.toThrow('RequestEntityTooLarge')
  })

  it.each([
    [
      'of EventBridge',
      { source: 'aws.events', 'detail-type': 'Scheduled Event', detail: {} },
      /"aws\.events"/,
    ],
    ['of SQS', { Records: [{ eventSource: 'aws:sqs', body: '{}' }] }, /API Gateway/],
    ['that is empty', {}, /API Gateway/],
    ['that is null', null, /API Gateway/],
    ['that is text', 'hello', /"string"/],
  ])('%s is rejected, and the next is served', async (_what, event, message) => {
    await expect(invoke(event)).rejects.toThrow(message)
    expect((await send(restEvent(admin))).statusCode).toBe(200)
  })
})

it('logs at LOG_LEVEL', async () => {
  const lines: string[] = []
  const quiet = await startFunction(join(folder, 'api.js'), { ...env, LOG_LEVEL: 'error' }, (line) =>
    lines.push(line),
  )
  onTestFinished(quiet.close)
  expect(((await quiet.invoke(restEvent(admin))) as GatewayReply).statusCode).toBe(200)
  await quiet.close()
  expect(lines).toEqual([])
})

describe('a function that cannot start', () => {
  it('logs the names of invalid settings for each event, without their values', async () => {
    const lines: string[] = []
    const { DATABASE_URL: _, ...rest } = env
    const broken = await startFunction(join(folder, 'api.js'), { ...rest, REDIS_URL: 'secret-x' }, (line) =>
      lines.push(line),
    )
    onTestFinished(broken.close)
    for (let turn = 1; turn <= 2; turn++) {
      const answer = (await broken.invoke(restEvent(admin))) as GatewayReply
      expect(answer.statusCode).toBe(500)
      expect(answer.body).not.toMatch(/DATABASE_URL|secret/)
      await until('the line', () => lines.length === turn)
      expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({
        level: 'ERROR',
        message: 'function cannot start',
        error: { message: expect.stringMatching(/REDIS_URL must .*DATABASE_URL is required/s) },
      })
    }
    expect(lines.join()).not.toContain('secret-x')
  })
})

describe('the daily revalidation', async () => {
  // It removes entries unknown to its database, so it needs its own cache and bucket.
  const redis = await startRedis()
  const s3 = await startS3()
  afterAll(() => Promise.all([redis.kill(), s3.stop()]))
  const own = { ...env, REDIS_URL: redis.url, ...s3.env }

  it('reports its findings as a result and as metrics', async () => {
    const lines: string[] = []
    const job = await startFunction(join(folder, 'refresh.js'), own, (line) => lines.push(line))
    onTestFinished(job.close)
    const event = { source: 'aws.events', 'detail-type': 'Scheduled Event', detail: {} }
    expect(await job.invoke(event, 900_000)).toMatchObject({ isFinished: true, repaired: 0, dropped: 0 })
    const line = await until('the line', () => lines.find((line) => line.includes('"_aws"')))
    expect(JSON.parse(line)).toMatchObject({ message: 'revalidation', Job: 'revalidation', Finished: 1 })
  })

  it('fails when its time runs out, so that the schedule retries', async () => {
    const job = await startFunction(join(folder, 'refresh.js'), own, () => {})
    onTestFinished(job.close)
    await expect(job.invoke({}, 1_000)).rejects.toThrow('The next run continues')
  })
})
