// A PostgreSQL that rejects writes, as after a failover: clear failures, and recovery without a restart.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { expect, it } from 'vitest'
import { migrate } from '../../../src/connection/postgres/migrations.ts'
import { startEmbeddedPostgres } from '../../../src/dev/embedded-postgres.ts'
import { atEnd } from '../../support/cleanup.ts'
import { copyCluster } from '../../support/cluster-copy.ts'
import { freshDatabase } from '../../support/database.ts'
import { type Service, startService } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

const openAdmin = async (connectionString: string): Promise<pg.Client> => {
  const admin = new pg.Client({ connectionString })
  await admin.connect()
  atEnd(() => admin.end())
  return admin
}

async function ready({ call }: Service): Promise<unknown[]> {
  const { status, body } = await call<{ dependencies: { database: string } }>('GET', '/ready')
  return [status, body.dependencies.database]
}

async function expectNoWrites({ call }: Service, user: { id: string }): Promise<void> {
  for (const [method, path, json] of [
    ['POST', '/user', { username: 'x', password: 'long-enough' }],
    ['PUT', `/user/${user.id}`, { username: 'x' }],
    ['PATCH', `/user/${user.id}`, { name: 'x' }],
    ['DELETE', `/user/${user.id}`],
  ] as const) {
    const { status, headers, body } = await call(method, path, { json })
    expect([method, status, headers.get('retry-after')]).toEqual([method, 503, '1'])
    expect(body).toMatchObject({ type: 'urn:problem:unavailable', detail: expect.stringContaining('writes') })
  }
}

it('read-only sessions: writes are 503 and reads continue; new connections accept writes as soon as possible', async () => {
  const databaseUrl = await freshDatabase()
  const service = await startService({ databaseUrl })
  const { call, makeUser, connections } = service
  const user = await makeUser()
  expect(await ready(service)).toEqual([200, 'up'])

  const admin = await openAdmin(databaseUrl)
  const name = new URL(databaseUrl).pathname.slice(1)
  await admin.query(`ALTER DATABASE ${name} SET default_transaction_read_only = on`)
  // Its sessions keep what they began with: they end, as in a failover.
  await admin.query(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()',
    [name],
  )
  await until('the sessions to be read-only', async () => (await ready(service))[1] === 'read-only')
  expect(await ready(service)).toEqual([503, 'read-only'])
  await expectNoWrites(service, user)
  expect((await call('GET', `/user?ids=${user.id}`)).status).toBe(200)
  // As many as there may be, all of them read-only.
  const hold = () =>
    connections.db.of(`${Math.random()}`).query((queries) => queries.unprepared('SELECT pg_sleep(0.2)', []))
  await Promise.all(Array.from({ length: 10 }, hold))

  await admin.query(`ALTER DATABASE ${name} RESET default_transaction_read_only`)
  const patch = () => call('PATCH', `/user/${user.id}`, { json: { name: 'after' } })
  const first = await until('a write to be taken', async () => {
    const { status, body } = await patch()
    return status === 200 ? body : undefined
  })
  expect(first.version).toBe(2)
  // No connection is left that takes none: all are made anew, not the one alone that met a write.
  await Promise.all(Array.from({ length: 10 }, hold))
  const writes = await Promise.all(
    Array.from({ length: 10 }, () => call('PATCH', `/user/${user.id}`, { json: { name: 'again' } })),
  )
  expect(writes.map(({ status }) => status)).toEqual(Array(10).fill(200))
  expect(await ready(service)).toEqual([200, 'up'])
})

it('a standby is not read, because its data may be old; the service recovers when it becomes the primary', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'user-directory-standby-'))
  atEnd(() => rm(directory, { recursive: true, force: true }))
  await copyCluster(directory)
  const start = () => startEmbeddedPostgres(directory, { durable: false })
  const primary = await start()
  await migrate(primary.url)
  await primary.stop()
  await writeFile(join(directory, 'data', 'standby.signal'), '')
  const standby = await start()
  atEnd(standby.stop)
  const admin = await openAdmin(standby.url)

  const service = await startService({ databaseUrl: standby.url })
  expect((await service.call('GET', '/user')).status).toBe(503)
  expect(await ready(service)).toEqual([503, 'read-only'])
  await expectNoWrites(service, { id: '01a21aea-48c5-70ee-bc9c-27d4ec918535' })

  await admin.query('SELECT pg_promote()')
  await until('the new primary to be used', async () => (await ready(service))[1] === 'up')
  expect((await service.makeUser()).version).toBe(1)
})
