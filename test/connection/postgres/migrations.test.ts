// Migrations on databases that another version created.
import pg from 'pg'
import { expect, it } from 'vitest'
import { migrate, schemaState } from '../../../src/connection/postgres/migrations.ts'
import { freshDatabase } from '../../support/database.ts'

const databaseWithHistory = async (statement: string) => {
  const url = await freshDatabase()
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(statement)
  await client.end()
  return url
}

it('rejects a database of another line of migrations, and says what to do', async () => {
  const url = await databaseWithHistory(`UPDATE drizzle.__drizzle_migrations SET hash = 'of-another-line'`)
  expect(await schemaState(url)).toBe('unknown')
  await expect(migrate(url)).rejects.toThrow('Set DATABASE_URL to an empty database')
})

it('accepts the later migrations of a newer version', async () => {
  const url = await databaseWithHistory(
    `INSERT INTO drizzle.__drizzle_migrations (hash, created_at) SELECT 'of-a-newer-version', max(created_at) + 1 FROM drizzle.__drizzle_migrations`,
  )
  expect(await migrate(url)).toEqual([])
  expect(await schemaState(url)).toBe('current')
})
