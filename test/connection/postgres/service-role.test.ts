// Migrations that run as the tables' owner create the role that servers log in as.
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { beforeAll, describe, expect, it } from 'vitest'
import { migrate, schemaState } from '../../../src/connection/postgres/migrations.ts'
import { atEnd } from '../../support/cleanup.ts'
import { freshDatabase } from '../../support/database.ts'
import { startService } from '../../support/service.ts'

describe('the role that servers log in as', () => {
  const role = `service_${randomBytes(6).toString('hex')}`
  let owner: string
  let service: string

  const query = async (url: string, text: string) => {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    try {
      return (await client.query(text)).rows
    } finally {
      await client.end()
    }
  }

  beforeAll(async () => {
    owner = await freshDatabase()
    // In all databases of the server, and with rights in this one.
    atEnd(() => query(owner, `DROP OWNED BY ${role}; DROP ROLE ${role}`))
    await migrate(owner, role)
    await migrate(owner, role)
    await query(owner, `ALTER ROLE ${role} PASSWORD 'of-the-test'`)
    service = Object.assign(new URL(owner), { username: role, password: 'of-the-test' }).href
  })

  it('supports the whole API', async () => {
    expect(await schemaState(service)).toBe('current')
    const { call, makeUser } = await startService({ databaseUrl: service })
    const { id } = await makeUser({ contacts: [{ contact_type: 'PHONE', value: '1' }] })
    expect((await call('PATCH', `/user/${id}`, { json: { name: 'Ada', status: 'BLOCKED' } })).status).toBe(
      200,
    )
    expect((await call('GET', '/user?search=ada&count=estimate')).status).toBe(200)
    expect((await call('DELETE', `/user/${id}`)).status).toBe(204)
  })

  it('may not alter the tables', async () => {
    for (const text of [
      'DROP TABLE users',
      'TRUNCATE users',
      'ALTER TABLE users DISABLE TRIGGER ALL',
      'CREATE TABLE more (id int)',
      'DELETE FROM drizzle.__drizzle_migrations',
    ])
      await expect(query(service, text), text).rejects.toMatchObject({ code: '42501' })
  })

  it('has a statement timeout that no proxy can lose', async () => {
    expect(await query(service, 'SHOW statement_timeout')).toEqual([{ statement_timeout: '1500ms' }])
    expect(await query(owner, 'SHOW statement_timeout')).toEqual([{ statement_timeout: '0' }])
  })
})
