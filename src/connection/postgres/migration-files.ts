// Applies the files of `migrations/`. Unlike Drizzle's migrator it can run statements that keep large tables in service.
import { type MigrationMeta, readMigrationFiles } from 'drizzle-orm/migrator'
import type pg from 'pg'

// In a transaction the first is an error, and the second keeps the locks of the statements before it.
const needsOwnTransaction = /\bCONCURRENTLY\b|\bVALIDATE CONSTRAINT\b/

/** Drizzle's history has one row for each applied file. */
const history = 'drizzle.__drizzle_migrations'

/** @returns the hashes of the applied files; undefined if there is no history */
export async function readHistory(client: pg.Client): Promise<Set<string> | undefined> {
  const table = await client.query<{ exists: boolean }>(`SELECT to_regclass($1) IS NOT NULL AS exists`, [
    history,
  ])
  if (!table.rows[0]?.exists) return undefined
  const { rows } = await client.query<{ hash: string }>(`SELECT hash FROM ${history}`)
  return new Set(rows.map(({ hash }) => hash))
}

/**
 * Applies the missing files in order, each in one transaction. A file with a statement that needs a transaction of its
 * own runs statement by statement. It repeats from its first statement after an interruption.
 */
export async function applyMigrations(client: pg.Client, folder: string): Promise<void> {
  await client.query(`
    CREATE SCHEMA IF NOT EXISTS drizzle;
    CREATE TABLE IF NOT EXISTS ${history} (id serial PRIMARY KEY, hash text NOT NULL, created_at bigint)`)
  const applied = await readHistory(client)
  for (const file of readMigrationFiles({ migrationsFolder: folder }))
    if (!applied?.has(file.hash)) await apply(client, file)
}

async function apply(
  client: pg.Client,
  { sql: statements, hash, folderMillis }: MigrationMeta,
): Promise<void> {
  const isOneTransaction = !statements.some((statement) => needsOwnTransaction.test(statement))
  if (isOneTransaction) await client.query('BEGIN')
  for (const statement of statements) await client.query(statement)
  await client.query(`INSERT INTO ${history} (hash, created_at) VALUES ($1, $2)`, [hash, folderMillis])
  if (isOneTransaction) await client.query('COMMIT')
}
