// /metrics for Prometheus, of one process and of several workers.
import { tmpdir } from 'node:os'
import { beforeAll, expect, inject, it } from 'vitest'
import { freshDatabase } from '../../support/database.ts'
import { startIssuer, tokenSettings } from '../../support/issuer.ts'
import { freePort } from '../../support/port.ts'
import { type Run, run, started } from '../../support/server-process.ts'
import { uniqueName } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

let env: Record<string, string>
let token: string

beforeAll(async () => {
  const issuer = await startIssuer()
  token = await issuer.machineToken('users/write')
  env = {
    DATABASE_URL: await freshDatabase(),
    REDIS_URL: inject('redisUrl'),
    ...tokenSettings(issuer.rules),
  }
  return issuer.close
})

type Measured = Run & { metricsUrl: string; scrape(): Promise<Scrape> }
/** Shared by tests that do not depend on other requests: one process, and two workers. */
let single: Measured
let workers: Measured

beforeAll(async () => {
  single = await startMeasured()
  workers = await startMeasured({ WORKERS: '2' })
})

type Scrape = {
  text: string
  /** The sum of the series of this name whose labels contain all of these. */
  value(name: string, labels?: Record<string, string>): number
}

async function startMeasured(settings: Record<string, string> = {}): Promise<Measured> {
  const port = await freePort()
  const server = await run(tmpdir(), { ...env, METRICS_PORT: String(port), ...settings })
  await started(server)
  const metricsUrl = `http://127.0.0.1:${port}`
  const scrape = async (): Promise<Scrape> => {
    const answer = await fetch(`${metricsUrl}/metrics`)
    expect([answer.status, answer.headers.get('content-type')]).toEqual([
      200,
      'text/plain; version=0.0.4; charset=utf-8',
    ])
    const text = await answer.text()
    return { text, value: (name, labels = {}) => sumOf(text, `user_directory_${name}`, labels) }
  }
  return { ...server, metricsUrl, scrape }
}

function sumOf(text: string, name: string, labels: Record<string, string>): number {
  const parts = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
  return text
    .split('\n')
    .filter((line) => new RegExp(`^${name}[ {]`).test(line) && parts.every((part) => line.includes(part)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
}

/** The names and labels of the service's own series; Node's depend on the garbage collector. */
function seriesOf(text: string): string[] {
  return [...text.matchAll(/^(user_directory_.*) \S+$/gm)].map(([, series = '']) => series)
}

function call(server: Run, target: string, body?: object): Promise<Response> {
  const [method = '', path = ''] = target.split(' ')
  return fetch(server.url + path, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', connection: 'close' },
    ...(body && { body: JSON.stringify(body) }),
  })
}

async function makeUser(server: Run): Promise<string> {
  const answer = await call(server, 'POST /user', { username: uniqueName(), password: null })
  return ((await answer.json()) as { id: string }).id
}

const reads = { method: 'GET', route: '/user/{id}', status: '200' }

it('counts requests by route, never by id', async () => {
  const server = await startMeasured()
  const ids = [await makeUser(server), await makeUser(server), await makeUser(server)]
  const once = await server.scrape()
  for (const id of [...ids, ...ids]) expect((await call(server, `GET /user/${id}`)).status).toBe(200)
  await call(server, 'GET /user/none')
  await call(server, `GET /${uniqueName()}?token=secret`)
  await call(server, `PURGE /${uniqueName()}`)
  const { text, value } = await server.scrape()
  expect(value('http_request_duration_seconds_count', reads)).toBe(6)
  expect(value('http_request_duration_seconds_bucket', { ...reads, le: '+Inf' })).toBe(6)
  expect(value('http_request_duration_seconds_count', { route: '/user/{id}', status: '400' })).toBe(1)
  expect(value('http_request_duration_seconds_count', { method: 'none', route: 'none', status: '404' })).toBe(
    2,
  )
  expect(value('cache_reads_total', { result: 'hit' })).toBeGreaterThanOrEqual(3)
  expect(value('cache_reads_total')).toBe(6)
  expect(value('database_connections')).toBeGreaterThanOrEqual(1)
  expect(value('event_loop_active_seconds_total')).toBeGreaterThan(0)
  expect(text).toMatch(/^user_directory_jobs\{state="waiting"\} 0$/m)
  expect(text).toMatch(/^nodejs_eventloop_lag_seconds /m)
  for (const secret of [...ids, 'secret', token, 'user.']) expect(text).not.toContain(secret)
  // The same routes again make no new series.
  for (const id of [await makeUser(server), await makeUser(server)]) await call(server, `GET /user/${id}`)
  const again = await server.scrape()
  expect(seriesOf(again.text)).toEqual(seriesOf(text))
  expect(seriesOf(once.text).length).toBeLessThan(seriesOf(text).length)
})

it('answers only reads of /metrics, and each name has its help and type once', async () => {
  const { text } = await single.scrape()
  const names = [...text.matchAll(/^# TYPE (\S+) (counter|gauge|histogram|summary)$/gm)].map(
    ([, name]) => name,
  )
  expect(new Set(names).size).toBe(names.length)
  expect(text.match(/^# HELP /gm)).toHaveLength(names.length)
  // The service's own port does not serve it.
  expect((await call(single, 'GET /metrics')).status).toBe(404)
  expect((await fetch(`${single.metricsUrl}/metrics`, { method: 'POST', body: 'x' })).status).toBe(405)
  expect((await fetch(`${single.metricsUrl}/`)).status).toBe(404)
  const many = await Promise.all(Array.from({ length: 15 }, () => single.scrape()))
  expect(many).toHaveLength(15)
})

/** The number of reads that the workers have counted. */
async function countedReads(): Promise<number> {
  return (await workers.scrape()).value('http_request_duration_seconds_count', reads)
}

/** The process ids that the second worker has had. */
function pidsOfSecond(): number[] {
  const started = workers.output().matchAll(/"worker started","slot":1,"pid":(\d+)/g)
  return [...started].map(([, pid]) => Number(pid))
}

it('sums the workers, and never falls when they are replaced or killed', async () => {
  const id = await makeUser(workers)
  const before = await countedReads()
  // Each on a connection of its own, so that both workers get some.
  for (let count = 0; count < 40; count++) await call(workers, `GET /user/${id}`)
  expect(await countedReads()).toBe(before + 40)
  workers.process.kill('SIGHUP')
  await until('the replacement', () => workers.output().includes('"replaced the workers"'), 60_000)
  expect(await countedReads()).toBe(before + 40)
  for (let count = 0; count < 10; count++) await call(workers, `GET /user/${id}`)
  expect(await countedReads()).toBe(before + 50)
  const pids = pidsOfSecond()
  process.kill(Number(pids.at(-1)), 'SIGKILL')
  await until('another worker', () => pidsOfSecond().length > pids.length)
  expect(await countedReads()).toBe(before + 50)
  const { text } = await workers.scrape()
  expect(text.match(/^user_directory_jobs\{state="running"\} /gm)).toHaveLength(1)
})

it('a worker that hangs delays the answer but keeps its counts', async () => {
  const id = await makeUser(workers)
  const before = await countedReads()
  for (let count = 0; count < 10; count++) await call(workers, `GET /user/${id}`)
  expect(await countedReads()).toBe(before + 10)
  const pid = Number(pidsOfSecond().at(-1))
  process.kill(pid, 'SIGSTOP')
  try {
    expect(await countedReads()).toBe(before + 10)
  } finally {
    process.kill(pid, 'SIGCONT')
  }
})

it('a port in use is named at the start', async () => {
  const { port } = single
  const second = await run(tmpdir(), { ...env, METRICS_PORT: String(port) })
  expect(await second.exit).toBe(1)
  expect(second.output()).toContain(`Set METRICS_PORT to a free one: METRICS_PORT=${port + 1}`)
})
