// Brings a database's schema up to date with the files in `migrations/`.
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { readMigrationFiles } from 'drizzle-orm/migrator'
import type pg from 'pg'
import { Client, clientConfig, isManaged } from './client.ts'
import { areColumnsDerived, deriveColumns } from './derived-columns.ts'
import { applyMigrations, readHistory } from './migration-files.ts'
import { prepareSession, processIdOf, roleSetting, sessionSettings } from './session.ts'

const folder = findFolder()
// An arbitrary advisory lock key that nothing else in the database uses.
const lockKey = 7_301_442
const lockPauseMs = 200
const lockMsMax = 3_600_000

/**
 * Applies the missing migrations. Several processes may run it at once: an advisory lock makes them take turns.
 * @param serviceRole the role that servers log in as, if it is not the tables' owner. It is created if missing,
 *   and granted access to rows only
 * @returns warnings for the operator, as sentences
 * @throws Error that says what to do, when the database cannot be reached or migrated
 */
export async function migrate(databaseUrl: string, serviceRole?: string): Promise<string[]> {
  const client = new Client({
    ...clientConfig(databaseUrl),
    connectionTimeoutMillis: 10_000,
    application_name: 'user-directory migrate',
  })
  // The next statement reports a lost connection; without a listener the event would end the process.
  client.on('error', () => {})
  await connect(client)
  try {
    if (!isManaged(databaseUrl)) await rejectPooler(client)
    // RDS Proxy applies the API's time limit. The lock limit keeps a migration that waits behind a long transaction
    // from blocking all other statements.
    await client.query("SET statement_timeout = 0; SET lock_timeout = '30s'; SET search_path = public")
    await takeTurn(client)
    if ((await historyOf(client)) === 'unknown')
      throw new Error(
        'The database was created by another line of migrations, such as those of a development version. Set DATABASE_URL to an empty database.',
      )
    await applyMigrations(client, folder)
    if (serviceRole !== undefined) await prepareServiceRole(client, serviceRole)
    await deriveColumns(client)
    const { rows } = await client.query<{ isUnicode: boolean }>(
      `SELECT cardinality(show_trgm('高橋')) > 0 AS "isUnicode"`,
    )
    return rows[0]?.isUnicode
      ? []
      : [
          "The database's LC_CTYPE treats only ASCII characters as letters, so searches for other scripts will be slow. Create the database with a UTF-8 locale, such as C.UTF-8.",
        ]
  } finally {
    await client.end()
  }
}

/** Polls, because building an index concurrently waits for every running statement, also for one that waits for a lock. */
async function takeTurn(client: pg.Client): Promise<void> {
  const until = performance.now() + lockMsMax
  for (;;) {
    const { rows } = await client.query<{ isMine: boolean }>('SELECT pg_try_advisory_lock($1) AS "isMine"', [
      lockKey,
    ])
    if (rows[0]?.isMine) return
    if (performance.now() > until)
      throw new Error('Another migration of this database has not ended for an hour. Stop it, and try again.')
    await pause(lockPauseMs)
  }
}

async function connect(client: pg.Client): Promise<void> {
  try {
    await client.connect()
  } catch (error) {
    // Node's AggregateError for several addresses has an empty message.
    const { message, code } = error as NodeJS.ErrnoException
    throw new Error(`The database of DATABASE_URL cannot be reached: ${message || code}`, { cause: error })
  }
}

/** Behind a pooler, a session's settings and locks may not last from one statement to the next. */
async function rejectPooler(client: Client): Promise<void> {
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
  if (rows[0]?.pid !== processIdOf(client))
    throw new Error(
      'Migrations need a direct connection to PostgreSQL, but DATABASE_URL leads through a pooler. Set DATABASE_URL to an address that bypasses it.',
    )
}

async function prepareServiceRole(client: pg.Client, role: string): Promise<void> {
  const exists = async (name: string) =>
    (await client.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [name])).rowCount === 1
  const name = client.escapeIdentifier(role)
  if (!(await exists(role))) await client.query(`CREATE ROLE ${name} LOGIN`)
  // On RDS, members of this role log in by IAM and have no password.
  if (await exists('rds_iam')) await client.query(`GRANT rds_iam TO ${name}`)
  // A pooler does not pass on a client's settings, so the role must have them.
  const { rows } = await client.query<{ setting: string }>(
    'SELECT name AS setting FROM pg_settings WHERE lower(name) = ANY($1)',
    [Object.keys(sessionSettings).map((setting) => setting.toLowerCase())],
  )
  for (const { setting } of rows) await client.query(roleSetting(name, setting))
  // Servers read the schema `drizzle` to see whether all migrations are applied.
  await client.query(`
    GRANT USAGE ON SCHEMA public, drizzle TO ${name};
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${name};
    GRANT SELECT ON ALL TABLES IN SCHEMA drizzle TO ${name}`)
}

/** `none`: no tables yet. `behind`: run the migrations. `unknown`: created by another line of migrations. */
export type SchemaState = 'none' | 'behind' | 'current' | 'unknown'

/** @throws Error that says what to do, when the database cannot be reached or its sessions cannot be used */
export async function schemaState(databaseUrl: string): Promise<SchemaState> {
  const client = new Client({
    ...clientConfig(databaseUrl),
    connectionTimeoutMillis: 10_000,
    query_timeout: 10_000,
  })
  client.on('error', () => {})
  await connect(client)
  try {
    await prepareSession(client, { isManaged: isManaged(databaseUrl), msMax: 10_000 })
    const history = await historyOf(client)
    return history === 'current' && !(await areColumnsDerived(client)) ? 'behind' : history
  } finally {
    await client.end()
  }
}

/** Compares the applied migrations with this version's files. Later migrations of a newer version are accepted. */
async function historyOf(client: pg.Client): Promise<SchemaState> {
  const files = readMigrationFiles({ migrationsFolder: folder })
  const applied = await readHistory(client)
  if (!applied || applied.size === 0) return 'none'
  const isApplied = files.map(({ hash }) => applied.has(hash))
  if (isApplied[0] !== true) return 'unknown'
  return isApplied.every(Boolean) ? 'current' : 'behind'
}

/** Searches this module's folder and its parents, because bundles place the module elsewhere. */
function findFolder(): string {
  for (let parent = import.meta.dirname; ; parent = dirname(parent)) {
    const folder = join(parent, 'migrations')
    if (existsSync(join(folder, 'meta/_journal.json'))) return folder
    if (parent === dirname(parent)) throw new Error('the migrations folder is missing')
  }
}
