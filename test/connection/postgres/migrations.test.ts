// Migrations on databases that another version created.
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { expect, it } from 'vitest'
import { applyMigrations } from '../../../src/connection/postgres/migration-files.ts'
import { migrate, schemaState } from '../../../src/connection/postgres/migrations.ts'
import { atEnd } from '../../support/cleanup.ts'
import { emptyDatabase, freshDatabase } from '../../support/database.ts'
import { until } from '../../support/wait.ts'

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

const withClient = async <T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> => {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

/** Indexes that no statement uses, and constraints that old rows may violate. */
const unfinished = `
  SELECT indexrelid::regclass::text AS name FROM pg_index WHERE NOT indisvalid
  UNION ALL SELECT conname FROM pg_constraint WHERE NOT convalidated`

it('lets several processes migrate an empty database at once', async () => {
  const url = await emptyDatabase()
  expect(await Promise.all([migrate(url), migrate(url), migrate(url)])).toEqual([[], [], []])
  expect(await schemaState(url)).toBe('current')
  expect(await withClient(url, (client) => client.query(unfinished))).toMatchObject({ rows: [] })
})

it('repeats a migration outside a transaction that was interrupted', async () => {
  const url = await freshDatabase()
  await withClient(url, async (client) => {
    await client.query('DELETE FROM drizzle.__drizzle_migrations WHERE id = 2')
    await client.query('DROP INDEX users_attributes')
    await client.query(
      `UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'users_external_id'::regclass`,
    )
  })
  expect(await schemaState(url)).toBe('behind')
  await migrate(url)
  expect(await schemaState(url)).toBe('current')
  expect(await withClient(url, (client) => client.query(unfinished))).toMatchObject({ rows: [] })
})

it('adds fields to a database in use: the version before keeps reading and writing', async () => {
  const url = await emptyDatabase()
  const folder = await migrationsUpTo(1)
  // The statements of the version before, which know none of the new columns.
  const insert = `
    INSERT INTO users (id, username, username_folded, name_folded, password_hash, status, version, created_at, updated_at, search_text)
    VALUES (gen_random_uuid(), $1, $1, '', '$argon2id$x', 'ACTIVE', 1, now(), now(), '')`
  await withClient(url, async (client) => {
    await applyMigrations(client, folder)
    await client.query(insert, ['before'])
    let isDone = false
    let written = 0
    const writing = withClient(url, async (writer) => {
      for (; !isDone; written++) {
        await writer.query(insert, [`during-${written}`])
        await writer.query('UPDATE users SET version = version + 1 WHERE username = $1', ['before'])
      }
    })
    await until('a write', () => written > 0)
    await migrate(url)
    isDone = true
    await writing
    await client.query(insert, ['after'])
    const { rows } = await client.query(
      `SELECT count(*)::int AS count FROM users WHERE external_id IS NULL AND attributes = '{}'`,
    )
    expect(rows).toEqual([{ count: written + 2 }])
  })
})

/** A copy of the first migrations, as an earlier version had them. */
async function migrationsUpTo(count: number): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'migrations-'))
  atEnd(() => rm(folder, { recursive: true }))
  await cp('migrations', folder, { recursive: true })
  const journal = JSON.parse(await readFile(join(folder, 'meta/_journal.json'), 'utf8'))
  journal.entries.splice(count)
  await writeFile(join(folder, 'meta/_journal.json'), JSON.stringify(journal))
  return folder
}
