// The service behind PgBouncer, whose sessions are shared between clients.
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { migrate, schemaState } from '../../../src/connection/postgres/migrations.ts'
import type { Job } from '../../../src/model/job.ts'
import { runNextJob } from '../../../src/services/jobs/run.ts'
import { atEnd } from '../../support/cleanup.ts'
import { freshDatabase } from '../../support/database.ts'
import { ndjson, readJob, runImport } from '../../support/import.ts'
import { startPgBouncer } from '../../support/pgbouncer.ts'
import { startService, uniqueName } from '../../support/service.ts'

const owner = await freshDatabase()

async function query(text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: owner })
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

const role = `service_${randomBytes(6).toString('hex')}`
atEnd(() => query(`DROP OWNED BY ${role}; DROP ROLE ${role}`))
await migrate(owner, role)
await query(`ALTER ROLE ${role} PASSWORD 'of-the-test'`)
const direct = Object.assign(new URL(owner), { username: role, password: 'of-the-test' }).href

describe.each(['session', 'transaction'] as const)('PgBouncer in %s mode', (mode) => {
  it('supports the whole API, with many concurrent requests', async () => {
    const databaseUrl = await startPgBouncer(direct, mode)
    expect(await schemaState(databaseUrl)).toBe('current')
    const { call, makeUser, connections } = await startService({ databaseUrl })
    const users = await Promise.all(Array.from({ length: 8 }, (_, n) => makeUser({ name: `${mode} ${n}` })))
    // More than there are connections, so that statements of one follow those of another on each.
    for (let round = 2; round < 5; round++) {
      const answers = await Promise.all(
        users.flatMap(({ id }) => [
          call('PATCH', `/user/${id}`, { json: { contacts: [{ contact_type: 'WORK', value: `${round}` }] } }),
          call('GET', `/user?ids=${id}&count=exact`),
        ]),
      )
      expect(answers.map(({ status }) => status)).toEqual(Array(16).fill(200))
      const read = await Promise.all(users.map(({ id }) => call('GET', `/user/${id}`)))
      expect(read.map(({ body }) => [body.version, body.contacts[0]?.value])).toEqual(
        Array(8).fill([round, `${round}`]),
      )
    }
    // One statement's name on all connections, each of which meets others' sessions.
    const named = await Promise.all(
      Array.from({ length: 40 }, (_, n) =>
        connections.db
          .of(`share ${n % 4}`)
          .query((queries) =>
            queries.prepared<{ n: number }>('named', 'SELECT $1::int AS n, pg_sleep(0.005)', [n]),
          ),
      ),
    )
    expect(named.map(([row]) => row?.n)).toEqual(Array.from({ length: 40 }, (_, n) => n))
    expect((await call<{ items: unknown[] }>('GET', `/user?search=${mode}`)).body.items).toHaveLength(8)
    expect((await call('DELETE', `/user/${users[0]?.id}`)).status).toBe(204)
    expect((await call('GET', '/ready')).status).toBe(200)
  })

  it('supports imports, their undoing and exports', async () => {
    const service = await startService({ databaseUrl: await startPgBouncer(direct, mode) })
    const team = uniqueName()
    const rows = (length: number, name: string) =>
      ndjson(
        Array.from({ length }, (_, at) => ({
          username: `${team}.${at}`,
          name: `${name} ${mode}`,
          contacts: [{ contact_type: 'EMAIL', value: `${at}@example.com` }],
        })),
      )
    const first = await runImport(service, rows(2_500, 'First'))
    expect(first).toMatchObject({ state: 'done', created: 2_500 })
    const update = (options: object) =>
      runImport(service, rows(2_000, 'Second'), { on_conflict: 'update', ...options })
    for (const dry_run of [true, false])
      expect(await update({ dry_run })).toMatchObject({ state: 'done', updated: 2_000 })
    const { body: exported } = await service.call<Job>('POST', '/export', { json: { format: 'csv' } })
    await runNextJob(service.connections, new AbortController().signal)
    const { text } = await service.call('GET', `/export/${exported.id}/file`)
    expect(text.match(new RegExp(`,Second ${mode},`, 'g'))).toHaveLength(2_000)
    const { body: undo } = await service.call<Job>('POST', `/import/${first.id}/undo`)
    await runNextJob(service.connections, new AbortController().signal)
    // Users who were changed since are kept.
    expect(await readJob(service, undo.id)).toMatchObject({ state: 'done', erased: 500 })
  }, 60_000)

  it('is rejected at the start while the role lacks settings, with the statements to run', async () => {
    const lacking = await startPgBouncer(direct, mode)
    await query(`ALTER ROLE ${role} RESET ALL`)
    // A pooler that has no session yet.
    const fresh = await startPgBouncer(direct, mode)
    const message: string = await schemaState(fresh).then(
      () => '',
      (error: Error) => error.message,
    )
    expect(message).toContain("ALTER ROLE <role> SET statement_timeout = '1500ms'")
    const statements = message.match(/ALTER ROLE <role> SET \w+ = '[^']*'/g) ?? []
    for (const statement of statements) await query(statement.replace('<role>', role))
    expect(await schemaState(await startPgBouncer(direct, mode))).toBe('current')
    expect(await schemaState(lacking)).toBe('current')
  })

  it('is rejected for migrations', async () => {
    await expect(migrate(await startPgBouncer(owner, mode))).rejects.toThrow('bypasses it')
  })
})
