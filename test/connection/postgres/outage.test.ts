// An outage of PostgreSQL: fast, clear failures, and recovery without a restart.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import pg from 'pg'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { openPostgres } from '../../../src/connection/postgres/postgres.ts'
import { openLogger } from '../../../src/platform/logger.ts'
import { freshDatabase } from '../../support/database.ts'
import { startProxy } from '../../support/proxy.ts'
import { startService } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

const direct = new URL(await freshDatabase())
const proxy = await startProxy({ host: direct.hostname, port: Number(direct.port) })
afterAll(proxy.close)
const databaseUrl = Object.assign(new URL(direct), { port: String(proxy.port) }).href
const service = await startService({ databaseUrl })
const { call, makeUser } = service

describe.each([
  ['refuses connections', () => proxy.refuse()],
  ['hangs', async () => proxy.hang()],
])('a PostgreSQL that %s', (_how, fail) => {
  it('is 503 with Retry-After within two seconds on every route, and 200 again afterwards', async () => {
    const user = await makeUser()
    await fail()
    const requests = [
      ['GET', '/user'],
      ['GET', `/user/${user.id}`],
      ['POST', '/user', { username: 'x', password: 'long-enough' }],
      ['PUT', `/user/${user.id}`, { username: user.username }],
      ['PATCH', `/user/${user.id}`, { name: 'x' }],
      ['DELETE', `/user/${user.id}`],
    ] as const
    // More at once than there are connections: those that wait for one must not wait in vain.
    const startedAt = performance.now()
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => requests)
        .flat()
        .map(([method, path, json]) => call(method, path, { json })),
    )
    expect(performance.now() - startedAt).toBeLessThan(2_000)
    for (const { status, headers, body } of answers) {
      expect([status, headers.get('retry-after')]).toEqual([503, '1'])
      expect(body).toMatchObject({
        type: 'urn:problem:unavailable',
        detail: expect.stringContaining('database'),
      })
    }

    const health = await call<{ status: string }>('GET', '/health')
    const ready = await call<{ dependencies: object }>('GET', '/ready')
    expect([health.status, ready.status]).toEqual([200, 503])
    expect(ready.body.dependencies).toEqual({ database: 'down', cache: 'up', avatars: 'up' })

    await proxy.pass()
    await until('the service to recover', async () => (await call('GET', `/user/${user.id}`)).status === 200)
    expect((await call('PATCH', `/user/${user.id}`, { json: { name: 'after' } })).body.version).toBe(2)
    expect((await call('GET', '/ready')).status).toBe(200)
  })
})

it('a handshake that fails on the client leaves no connection open', async () => {
  const open = new Set<Socket>()
  let tries = 0
  const between = createServer((inbound) => {
    tries++
    open.add(inbound)
    inbound.on('close', () => open.delete(inbound)).on('error', () => {})
    const outbound = connect(Number(direct.port), direct.hostname)
    outbound.on('error', () => {})
    inbound.pipe(outbound).pipe(inbound)
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void between.close())
  await once(between, 'listening')
  const { port } = between.address() as AddressInfo
  // PostgreSQL asks for a password, and there is none.
  const url = Object.assign(new URL(direct), { port: String(port), password: '' }).href
  const db = openPostgres(url, openLogger('error'))
  onTestFinished(db.close)
  await until('three tries', async () => {
    await expect(db.check()).rejects.toMatchObject({ code: 'unavailable' })
    return tries >= 3
  })
  await until('the connections to be closed', () => open.size === 0)
})

it('cached reads continue without PostgreSQL, for machines and for people whose record is cached', async () => {
  const { issuer } = service
  const [me, blocked, other] = [await makeUser(), await makeUser(), await makeUser()]
  const token = await issuer.token({ username: me.username, 'cognito:groups': ['readers'] })
  const machine = await issuer.machineToken('users/read')
  const blockedToken = await issuer.token({ username: blocked.username, 'cognito:groups': ['readers'] })
  const get = ({ id }: { id: string }, by: string) => call('GET', `/user/${id}`, { token: by })
  expect((await get(blocked, blockedToken)).status).toBe(200)
  await call('PATCH', `/user/${blocked.id}`, { json: { status: 'BLOCKED' } })
  for (const user of [me, blocked]) expect((await get(user, token)).status).toBe(200)
  await until('the block', async () => (await get(blocked, blockedToken)).status === 401)

  await proxy.refuse()
  await until('PostgreSQL to be away', async () => (await get(other, machine)).status === 503)
  for (const by of [token, machine]) {
    // Longer than what is known of a caller from before.
    const end = performance.now() + 700
    do expect([(await get(me, by)).status, (await get(me, by)).headers.get('x-cache')]).toEqual([200, 'hit'])
    while (performance.now() < end)
  }
  expect((await get(me, blockedToken)).status).toBe(401)
  expect((await get(other, token)).status).toBe(503)
  expect((await call('PATCH', `/user/${me.id}`, { json: { name: 'x' }, token: machine })).status).not.toBe(
    200,
  )
  await proxy.pass()
  await until('the service to be back', async () => (await get(other, token)).status === 200)
})

it('a connection that breaks between two statements fails only its request', async () => {
  const { db } = service.connections
  const admin = new pg.Client({ connectionString: direct.href })
  await admin.connect()
  onTestFinished(() => admin.end())
  for (const how of ['ends it', 'resets it'])
    await expect(
      db.transaction(async (queries) => {
        const { rows } = await queries.execute<{ pid: number }>('SELECT pg_backend_pid() AS pid')
        const pid = rows[0]?.pid ?? -1
        if (how === 'ends it') await admin.query('SELECT pg_terminate_backend($1)', [pid])
        else await proxy.refuse()
        await until('the backend to be gone', async () => {
          const { rowCount } = await admin.query('SELECT 1 FROM pg_stat_activity WHERE pid = $1', [pid])
          return rowCount === 0
        })
        await queries.execute('SELECT 1')
      }),
    ).rejects.toMatchObject({ code: 'unavailable' })
  await proxy.pass()
  await until(
    'the service to be back',
    async () => (await service.call('GET', '/user?limit=1')).status === 200,
  )
})
