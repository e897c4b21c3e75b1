// Brings a database's schema up to date with the files in `migrations/`.
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { readMigrationFiles } from 'drizzle-orm/migrator'
import { drizzle } from 'drizzle-orm/node-postgres'
import { migrate as migrateFiles } from 'drizzle-orm/node-postgres/migrator'
import type pg from 'pg'
import { Client, clientConfig, isManaged } from './client.ts'
import { areColumnsDerived, deriveColumns } from './derived-columns.ts'
import { prepareSession, processIdOf, roleSetting, sessionSettings } from './session.ts'

const folder = findFolder()
// Any number that nothing else in the database uses.
const lockKey = 7_301_442

/**
 * Safe to run from several processes at once: they take turns, and the later ones find nothing to do.
 * @param serviceRole the role that servers log in as, where it is not the tables' owner: made if it is missing,
 *   and let read and write rows and nothing else
 * @returns what its owner should know about the database, in sentences
 */
export async function migrate(databaseUrl: string, serviceRole?: string): Promise<string[]> {
  const client = new Client({
    ...clientConfig(databaseUrl),
    connectionTimeoutMillis: 10_000,
    application_name: 'user-directory migrate',
  })
  // What breaks between two statements fails the next one; without a listener it would end the process.
  client.on('error', () => {})
  await connect(client)
  try {
    if (!isManaged(databaseUrl)) await refusePooler(client)
    // A proxy's sessions have the API's time limit. A migration that waits behind a long transaction makes
    // everybody wait behind it.
    await client.query("SET statement_timeout = 0; SET lock_timeout = '30s'; SET search_path = public")
    await client.query('SELECT pg_advisory_lock($1)', [lockKey])
    await migrateFiles(drizzle({ client }), { migrationsFolder: folder })
    if (serviceRole !== undefined) await prepareServiceRole(client, serviceRole)
    await deriveColumns(client)
    const { rows } = await client.query<{ isUnicode: boolean }>(
      `SELECT cardinality(show_trgm('高橋')) > 0 AS "isUnicode"`,
    )
    return rows[0]?.isUnicode
      ? []
      : [
          "The database's LC_CTYPE takes ASCII letters only for letters: searches for others will be slow. Make the database with one of UTF-8, such as C.UTF-8.",
        ]
  } finally {
    await client.end()
  }
}

async function connect(client: pg.Client): Promise<void> {
  try {
    await client.connect()
  } catch (error) {
    // One for several addresses has no message of its own.
    const { message, code } = error as NodeJS.ErrnoException
    throw new Error(`The database of DATABASE_URL cannot be reached: ${message || code}`, { cause: error })
  }
}

/** Behind a pooler, neither settings nor locks need to last from one statement to the next. */
async function refusePooler(client: Client): Promise<void> {
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
  if (rows[0]?.pid !== processIdOf(client))
    throw new Error(
      'Migrations need a connection to PostgreSQL itself, and DATABASE_URL leads through a pooler. Run them with a DATABASE_URL that leads past it.',
    )
}

async function prepareServiceRole(client: pg.Client, role: string): Promise<void> {
  const exists = async (name: string) =>
    (await client.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [name])).rowCount === 1
  const name = client.escapeIdentifier(role)
  if (!(await exists(role))) await client.query(`CREATE ROLE ${name} LOGIN`)
  // On RDS a member of this role logs in by IAM, and has no password.
  if (await exists('rds_iam')) await client.query(`GRANT rds_iam TO ${name}`)
  // A pooler's sessions have these alone: it passes on none of a client's.
  const { rows } = await client.query<{ setting: string }>(
    'SELECT name AS setting FROM pg_settings WHERE lower(name) = ANY($1)',
    [Object.keys(sessionSettings).map((setting) => setting.toLowerCase())],
  )
  for (const { setting } of rows) await client.query(roleSetting(name, setting))
  // The second schema tells a server whether all migrations have been made.
  await client.query(`
    GRANT USAGE ON SCHEMA public, drizzle TO ${name};
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${name};
    GRANT SELECT ON ALL TABLES IN SCHEMA drizzle TO ${name}`)
}

/**
 * Whether a database has our tables, all of this version's migrations, and columns derived by its rules.
 * @throws Error that says what to do, when it cannot be reached or its sessions cannot be used
 */
export async function schemaState(databaseUrl: string): Promise<'none' | 'behind' | 'current'> {
  const latest = readMigrationFiles({ migrationsFolder: folder }).at(-1)
  const client = new Client({
    ...clientConfig(databaseUrl),
    connectionTimeoutMillis: 10_000,
    query_timeout: 10_000,
  })
  client.on('error', () => {})
  await connect(client)
  try {
    await prepareSession(client, { isManaged: isManaged(databaseUrl), msMax: 10_000 })
    const { rows } = await client.query<{ exists: boolean }>(
      `SELECT to_regclass('drizzle.__drizzle_migrations') IS NOT NULL AS exists`,
    )
    if (!rows[0]?.exists) return 'none'
    const applied = await client.query('SELECT 1 FROM drizzle.__drizzle_migrations WHERE hash = $1', [
      latest?.hash,
    ])
    return applied.rowCount === 1 && (await areColumnsDerived(client)) ? 'current' : 'behind'
  } finally {
    await client.end()
  }
}

/** It lies beside or above this module, which is bundled into other places. */
function findFolder(): string {
  for (let parent = import.meta.dirname; ; parent = dirname(parent)) {
    const folder = join(parent, 'migrations')
    if (existsSync(join(folder, 'meta/_journal.json'))) return folder
    if (parent === dirname(parent)) throw new Error('there is no folder with migrations')
  }
}
