// Failing starts and ending processes of the deployed package: the log names each fault and its fix, the caller gets a
// clear error, and the next event tries again.
import { readFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { TLSSocket } from 'node:tls'
import { Redis } from 'ioredis'
import pg from 'pg'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import type { GatewayReply } from '../../../src/handler/lambda/gateway-event.ts'
import { freshDatabase } from '../../support/database.ts'
import { packagedFunctions } from '../../support/functions.ts'
import { clientId } from '../../support/issuer.ts'
import { restEvent, startFunction } from '../../support/lambda.ts'
import { startProxy } from '../../support/proxy.ts'
import { startRedis } from '../../support/redis.ts'
import { realServices } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

const { folder } = await packagedFunctions()
const databaseUrl = await freshDatabase()
const env = {
  ...realServices(),
  NODE_ENV: 'production',
  DATABASE_URL: databaseUrl,
  COGNITO_USER_POOL_ID: 'eu-west-1_AbCdEfGhI',
  COGNITO_CLIENT_ID: clientId,
}
const claims = {
  iss: 'https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI',
  sub: '7b1d',
  token_use: 'access',
  client_id: clientId,
  username: 'root',
  'cognito:groups': ['admins'],
}
const list = await restEvent(new Request('https://gateway/user'), claims)

/** Starts the function with other settings. */
async function start(more: Record<string, string>) {
  const lines: { level: string; message: string; error?: unknown }[] = []
  const started = await startFunction(join(folder, 'api.js'), { ...env, ...more }, (line) =>
    lines.push(JSON.parse(line)),
  )
  onTestFinished(started.close)
  return {
    ...started,
    send: async (event = list) => (await started.invoke(event)) as GatewayReply,
    /** @returns the log lines of faults that match */
    logged: (words: RegExp) =>
      lines.filter(({ level, error }) => level !== 'INFO' && words.test(JSON.stringify(error))),
  }
}

const urlWith = (url: string, parts: Partial<URL>) => Object.assign(new URL(url), parts).href

const tlsFile = (name: string) => resolve('test/support/tls', name)

/** The suite's PostgreSQL behind TLS, negotiated as PostgreSQL clients do. */
async function startTls(): Promise<{ port: number }> {
  const { hostname: host, port } = new URL(databaseUrl)
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      socket.write('S')
      const inner = new TLSSocket(socket, {
        isServer: true,
        cert: readFileSync(tlsFile('server.pem')),
        key: readFileSync(tlsFile('server-key.pem')),
      })
      const outbound = connect(Number(port), host)
      for (const end of [inner, outbound]) end.on('error', () => {})
      // A killed process resets its connection. Without this, PostgreSQL would wait a minute for the handshake.
      inner.on('close', () => outbound.destroy())
      inner.pipe(outbound).pipe(inner)
    })
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => void server.close())
  return { port: (server.address() as AddressInfo).port }
}

describe('a database', async () => {
  const { hostname: host, port } = new URL(databaseUrl)
  const network = await startProxy({ host, port: Number(port) })
  afterAll(network.close)
  const DATABASE_URL = urlWith(databaseUrl, { port: String(network.port) })

  it.each([
    ['refuses connections', network.refuse, /no connection to PostgreSQL: check DATABASE_URL.*ECONNREFUSED/],
    [
      'accepts connections without answering',
      async () => network.hang(),
      /no connection to PostgreSQL: check DATABASE_URL.*timeout/,
    ],
  ])('that %s is logged, answered with 503, and used as soon as it answers', async (_what, fail, words) => {
    await fail()
    const { send, logged } = await start({ DATABASE_URL })
    const rejected = await send()
    expect(rejected.statusCode).toBe(503)
    expect(Number(rejected.headers['retry-after'])).toBeGreaterThan(0)
    expect(JSON.parse(rejected.body)).toMatchObject({ type: 'urn:problem:unavailable' })
    await until('the line', () => logged(words).length > 0)
    await network.pass()
    await until('an answer', async () => (await send()).statusCode === 200)
  })

  it('that rejects the password is logged without it, answered with 503, and used once it accepts it', async () => {
    const admin = new pg.Client({ connectionString: databaseUrl })
    await admin.connect()
    onTestFinished(() => admin.end())
    const role = `late_${process.pid}`
    await admin.query(`CREATE ROLE ${role} LOGIN SUPERUSER PASSWORD 'another'`)
    const { send, logged } = await start({
      DATABASE_URL: urlWith(databaseUrl, { username: role, password: 'a-secret' }),
    })
    expect((await send()).statusCode).toBe(503)
    await until('the line', () => logged(/check DATABASE_URL's user and password.*28P01/).length > 0)
    expect(logged(/a-secret/)).toEqual([])
    await admin.query(`ALTER ROLE ${role} PASSWORD 'a-secret'`)
    await until('an answer', async () => (await send()).statusCode === 200)
  })

  it('with IAM login but without credentials is logged', async () => {
    const { port } = await startTls()
    const { send, logged } = await start({
      DATABASE_URL: `${urlWith(databaseUrl, { hostname: 'localhost', port: String(port) })}?auth=iam`,
      NODE_EXTRA_CA_CERTS: tlsFile('ca.pem'),
      AWS_REGION: 'eu-west-1',
      AWS_ACCESS_KEY_ID: '',
      AWS_EC2_METADATA_DISABLED: 'true',
    })
    expect((await send()).statusCode).toBe(503)
    await until(
      'the line',
      () => logged(/check DATABASE_URL.*no AWS credentials were found for IAM/).length > 0,
    )
  })

  it('that does not exist is logged by its name in DATABASE_URL', async () => {
    const { send, logged } = await start({ DATABASE_URL: urlWith(databaseUrl, { pathname: '/nowhere' }) })
    expect((await send()).statusCode).toBe(503)
    await until('the line', () => logged(/check the name at the end of DATABASE_URL.*3D000/).length > 0)
  })
})

describe('a cache', () => {
  it('that rejects the function is logged, bypassed, and used once it accepts it', async () => {
    const redis = await startRedis()
    onTestFinished(redis.kill)
    const admin = new Redis(redis.url)
    onTestFinished(() => admin.disconnect())
    await admin.acl('SETUSER', 'directory', 'on', '>another', '~*', '+@all')
    const { send, logged } = await start({
      REDIS_URL: urlWith(redis.url, { username: 'directory', password: 'a-secret' }),
    })
    const made = await send(
      await restEvent(
        new Request('https://gateway/user', {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ username: 'late', password: 'a-good-password' }),
        }),
        claims,
      ),
    )
    expect(made.statusCode).toBe(201)
    await until('the line', () => logged(/check REDIS_URL's user and password.*WRONGPASS/).length === 1)
    expect(logged(/a-secret/)).toEqual([])
    const read = await restEvent(new Request(`https://gateway/user/${JSON.parse(made.body).id}`), claims)
    expect((await send(read)).headers['x-cache']).toBe('bypass')
    await admin.acl('SETUSER', 'directory', '>a-secret')
    await until('a hit', async () => (await send(read)).headers['x-cache'] === 'hit')
  })

  it('with IAM login but without credentials is logged and bypassed', async () => {
    const redis = await startRedis()
    onTestFinished(redis.kill)
    const { send, logged } = await start({
      REDIS_URL: `${urlWith(redis.url, { username: 'directory' })}?iam_cache=directory`,
      AWS_ACCESS_KEY_ID: '',
      AWS_EC2_METADATA_DISABLED: 'true',
    })
    expect((await send()).statusCode).toBe(200)
    await until('the line', () => logged(/no AWS credentials were found for IAM/).length === 1)
  })
})

describe('a process', () => {
  it('killed during an event fails that event only; the next gets a new process', async () => {
    const { hostname: host, port } = new URL(databaseUrl)
    const network = await startProxy({ host, port: Number(port) })
    onTestFinished(network.close)
    const { process: current, send } = await start({
      DATABASE_URL: urlWith(databaseUrl, { port: String(network.port) }),
    })
    expect((await send()).statusCode).toBe(200)
    const first = current()?.pid
    network.hang()
    const failing = expect(send()).rejects.toThrow('the function has ended')
    current()?.kill('SIGKILL')
    await failing
    await network.pass()
    expect((await send()).statusCode).toBe(200)
    expect(current()?.pid).not.toBe(first)
  })

  it('that exits is replaced by another', async () => {
    const trap = encodeURIComponent("process.once('SIGUSR2', () => process.exit(3))")
    const { process: current, send } = await start({ NODE_OPTIONS: `--import=data:text/javascript,${trap}` })
    expect((await send()).statusCode).toBe(200)
    const first = current()
    first?.kill('SIGUSR2')
    await until('its end', () => first?.exitCode !== null)
    expect((await send()).statusCode).toBe(200)
  })
})
