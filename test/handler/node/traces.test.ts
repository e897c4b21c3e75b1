// Traces of requests, sent to a collector by one process and by several workers.
import { tmpdir } from 'node:os'
import { beforeAll, expect, inject, it } from 'vitest'
import { type Collector, type ReceivedSpan, startCollector } from '../../support/collector.ts'
import { freshDatabase } from '../../support/database.ts'
import { type Issuer, startIssuer, tokenSettings } from '../../support/issuer.ts'
import { png } from '../../support/picture.ts'
import { freePort } from '../../support/port.ts'
import { type Run, run, started } from '../../support/server-process.ts'
import { uniqueName } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

let env: Record<string, string>
let issuer: Issuer
let token: string
let collector: Collector
let server: Run

beforeAll(async () => {
  issuer = await startIssuer()
  token = await issuer.token({ username: 'tracer', 'cognito:groups': ['admins'] })
  collector = await startCollector()
  env = {
    DATABASE_URL: await freshDatabase(),
    REDIS_URL: inject('redisUrl'),
    ...inject('s3Env'),
    ...tokenSettings(issuer.rules),
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_SERVICE_NAME: 'directory',
  }
  server = await startTraced()
  return issuer.close
})

async function startTraced(settings: Record<string, string> = {}): Promise<Run> {
  const traced = await run(tmpdir(), { ...env, ...settings })
  await started(traced)
  return traced
}

type Options = { headers?: Record<string, string>; body?: object; at?: Run }

async function call(target: string, { headers, body, at = server }: Options = {}): Promise<Response> {
  const [method = '', path = ''] = target.split(' ')
  return fetch(at.url + path, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
    ...(body && { body: JSON.stringify(body) }),
  })
}

async function makeUser(at?: Run): Promise<string> {
  const body = { username: uniqueName(), password: null }
  return ((await (await call('POST /user', { body, ...(at && { at }) })).json()) as { id: string }).id
}

let lastTrace = 0

/** Calls with a trace of its own. @returns the answer, the request's span, and the spans of its calls in order */
async function traced(target: string, options: Options = {}) {
  const traceId = (++lastTrace).toString(16).padStart(32, '0')
  const traceparent = `00-${traceId}-00f067aa0ba902b7-01`
  const answer = await call(target, { ...options, headers: { ...options.headers, traceparent } })
  const of = () => collector.spans.filter((span) => span.traceId === traceId)
  const request = await until('the span', () => of().find(({ kind }) => kind === 2))
  const calls = of().filter(({ kind }) => kind === 3)
  return { answer, traceId, request, calls }
}

const namesOf = (spans: ReceivedSpan[]) => spans.map(({ name }) => name)

it('shows a read that misses the cache, and one that hits it', async () => {
  const id = await makeUser()
  const miss = await traced(`GET /user/${id}`)
  expect(miss.request).toMatchObject({
    name: 'GET /user/{id}',
    parentSpanId: '00f067aa0ba902b7',
    flags: 0x301,
    attributes: {
      'http.request.method': 'GET',
      'http.route': '/user/{id}',
      'http.response.status_code': 200,
      'user_directory.cache': 'miss',
    },
    resource: { 'service.name': 'directory' },
  })
  expect(namesOf(miss.calls)).toEqual(expect.arrayContaining(['cache read', 'users-by-id', 'cache fill']))
  for (const span of miss.calls) {
    expect(span.parentSpanId).toBe(miss.request.spanId)
    expect(BigInt(span.startTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(miss.request.startTimeUnixNano))
    expect(BigInt(span.endTimeUnixNano)).toBeLessThanOrEqual(BigInt(miss.request.endTimeUnixNano))
  }
  const hit = await traced(`GET /user/${id}`)
  expect(new Set(namesOf(hit.calls))).toEqual(new Set(['cache read']))
  expect(hit.request.attributes['user_directory.cache']).toBe('hit')
})

it('shows the statements of a write and the object that it stores', async () => {
  const id = await makeUser()
  const avatar = `data:image/png;base64,${Buffer.from(await png()).toString('base64')}`
  const { request, calls } = await traced(`PATCH /user/${id}`, { body: { avatar } })
  expect(request.attributes['http.response.status_code']).toBe(200)
  expect(namesOf(calls)).toEqual(
    expect.arrayContaining([
      'BEGIN',
      'SELECT users',
      'callers-by-name',
      'UPDATE users',
      'S3/PutObject',
      'COMMIT',
      'cache invalidate',
    ]),
  )
  const list = await traced('GET /user?search=ada&status=ACTIVE')
  expect(namesOf(list.calls)).toContain('SELECT contacts users')
})

it('marks answers with a fault of the server, and calls that failed', async () => {
  const name = uniqueName()
  expect((await call('POST /user', { body: { username: name, password: null } })).status).toBe(201)
  const taken = await traced('POST /user', { body: { username: name, password: null } })
  expect(taken.request).toMatchObject({ attributes: { 'http.response.status_code': 409 } })
  expect(taken.request.status).toBeUndefined()
  expect(taken.calls).toContainEqual(
    expect.objectContaining({
      name: 'INSERT users',
      status: { code: 2 },
      attributes: { 'db.system.name': 'postgresql', 'error.type': '23505' },
    }),
  )
  expect((await traced(`GET /${name}`)).request).toMatchObject({
    name: 'HTTP',
    attributes: { 'http.response.status_code': 404 },
  })
})

it('adds the trace id to the log lines of the request', async () => {
  const { traceId } = await traced('GET /user?limit=1')
  const line = await until('the line', () =>
    server.output().match(new RegExp(`^.*"trace_id":"${traceId}".*$`, 'm')),
  )
  expect(JSON.parse(line[0])).toMatchObject({ message: 'request', route: 'GET /user', status: 200 })
})

it('follows the decision of the caller not to sample', async () => {
  const traceId = 'a'.repeat(32)
  await call('GET /user?limit=1', { headers: { traceparent: `00-${traceId}-00f067aa0ba902b7-00` } })
  await until('the line', () => server.output().includes(`"trace_id":"${traceId}"`))
  await traced('GET /user?limit=1')
  expect(collector.spans.filter((span) => span.traceId === traceId)).toEqual([])
})

it.each([
  ['malformed', { traceparent: '00-zzz-01' }],
  ['huge', { traceparent: `01-${'b'.repeat(32)}-00f067aa0ba902b7-01-${'x'.repeat(10_000)}` }],
])('begins a new trace after a %s traceparent', async (_, headers) => {
  const id = uniqueName('trace')
  expect((await call('GET /user?limit=1', { headers: { ...headers, 'x-request-id': id } })).status).toBe(200)
  const [line] = await until('the line', () =>
    server.output().match(new RegExp(`^.*"request_id":"${id}".*$`, 'm')),
  )
  const { trace_id: traceId } = JSON.parse(line) as { trace_id: string }
  const span = await until('the span', () => collector.spans.find((each) => each.traceId === traceId))
  expect(span.parentSpanId).not.toBe('00f067aa0ba902b7')
  expect(traceId).not.toBe('b'.repeat(32))
})

it('keeps the state of the trace, and ignores a malformed one', async () => {
  const kept = await traced('GET /user?limit=1', { headers: { tracestate: 'rojo=1,congo=2' } })
  expect(kept.request.traceState).toBe('rojo=1,congo=2')
  expect(kept.calls[0]?.traceState).toBe('rojo=1,congo=2')
  const ignored = await traced('GET /user?limit=1', { headers: { tracestate: `x=${'y'.repeat(9_000)}` } })
  expect(ignored.request.traceState).toBeUndefined()
})

it('exports no id, parameter, token or content', async () => {
  const secret = uniqueName('secret')
  const id = await makeUser()
  await traced(`PATCH /user/${id}`, { body: { name: secret, attributes: { department: secret } } })
  await traced(`GET /user?search=${secret}&attribute.department=${secret}`)
  await traced(`GET /user/${id}`)
  await traced(`GET /user/${secret}`)
  const sent = collector.bodies.join('\n')
  for (const value of [secret, id, token, 'Bearer', 'tracer']) expect(sent).not.toContain(value)
})

it('samples a share of the traces that begin here', async () => {
  const own = await startTraced({ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0' })
  const traceId = 'c'.repeat(32)
  // Without `parentbased_` the decision of the caller does not count.
  await call('GET /user?limit=1', { at: own, headers: { traceparent: `00-${traceId}-00f067aa0ba902b7-01` } })
  own.process.kill('SIGTERM')
  expect(await own.exit).toBe(0)
  expect(collector.spans.filter((span) => span.resource['process.pid'] === own.process.pid)).toEqual([])
})

it('receives the spans of all workers, and the last ones when they stop', async () => {
  const own = await startTraced({ WORKERS: '2' })
  const before = collector.spans.length
  for (let count = 0; count < 40; count++)
    await call('GET /user?limit=1', { at: own, headers: { connection: 'close' } })
  own.process.kill('SIGTERM')
  expect(await own.exit).toBe(0)
  const spans = collector.spans.slice(before).filter(({ name }) => name === 'GET /user')
  expect(spans).toHaveLength(40)
  expect(new Set(spans.map(({ resource }) => resource['service.instance.id'])).size).toBe(2)
})

it.each([
  ['down', async () => `http://127.0.0.1:${await freePort()}`],
  [
    'hanging',
    async () => {
      const hanging = await startCollector()
      hanging.answer = () => {}
      return hanging.url
    },
  ],
])('serves as before with a collector that is %s, and counts what is dropped', async (_, address) => {
  const metricsPort = await freePort()
  const own = await startTraced({
    OTEL_EXPORTER_OTLP_ENDPOINT: await address(),
    METRICS_PORT: String(metricsPort),
  })
  const id = await makeUser(own)
  for (let round = 0; round < 60; round++) {
    const answers = await Promise.all(Array.from({ length: 20 }, () => call(`GET /user/${id}`, { at: own })))
    expect(answers.every(({ status }) => status === 200)).toBe(true)
  }
  const metrics = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text()
  const dropped = /^user_directory_trace_spans_total\{result="dropped"\} (\d+)$/m.exec(metrics)?.[1]
  expect(Number(dropped)).toBeGreaterThan(0)
  own.process.kill('SIGTERM')
  expect(await own.exit).toBe(0)
})
