// Ensures the settings of a session, whatever the defaults of the server, the database and the role.
import type pg from 'pg'
import type { Client } from './client.ts'
import { ReadOnlyDatabase } from './database.ts'

/**
 * Settings that statements and the driver's parsers rely on, with values as PostgreSQL shows them. Settings unknown to
 * a version are skipped. Read-only transactions are the operator's choice and not set here.
 */
export const sessionSettings: Record<string, string> = {
  // The driver parses instants in this format only.
  DateStyle: 'ISO, YMD',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  extra_float_digits: '1',
  array_nulls: 'on',
  // Statements use tables and the functions of pg_trgm without a schema.
  search_path: 'public',
  standard_conforming_strings: 'on',
  // Row locks and conditional statements rely on the semantics of this isolation level.
  default_transaction_isolation: 'read committed',
  // Ends statements on the server too, so that abandoned ones use no resources.
  statement_timeout: '1500ms',
  idle_in_transaction_session_timeout: '10s',
  lock_timeout: '0',
  idle_session_timeout: '0',
  transaction_timeout: '0',
  // Searches need plans for their values, and statements this short must not be compiled.
  plan_cache_mode: 'auto',
  jit: 'off',
  // One processor for each statement, so that a caller's share of connections is its share of processors.
  max_parallel_workers_per_gather: '0',
  // Any other value omits matches of a search.
  gin_fuzzy_search_limit: '0',
}

const names = Object.keys(sessionSettings)
const values = Object.values(sessionSettings)
const known = `unnest($1::text[], $2::text[]) AS s (name, value) WHERE current_setting(s.name, true) IS NOT NULL`
const about = 'pg_backend_pid() AS pid, pg_is_in_recovery() AS "isStandby"'

/** Applies the settings, unless the connection leads through a pooler, whose sessions are shared. */
const apply = `
SELECT s.name, ${about},
  CASE WHEN pg_backend_pid() = $3 THEN set_config(s.name, s.value, false) ELSE current_setting(s.name) END AS actual
FROM ${known}`
const read = `SELECT s.name, ${about}, current_setting(s.name) AS actual, $3::int FROM ${known}`

type Row = { name: string; pid: number; isStandby: boolean; actual: string }

/** The message says why a connection cannot be used, and what to do. */
export class UnusableSession extends Error {}

/**
 * Applies or checks the settings of a new connection, in one round trip.
 * @param options.isManaged the connection leads through RDS Proxy. It pins a client that sets anything to a connection,
 *   so the role must have the settings, and they are only checked
 * @param options.allowsStandby for reads that may be stale
 * @returns whether there is a pooler in between, which may use another session for each transaction
 * @throws ReadOnlyDatabase for another standby, whose data may be old; UnusableSession if a pooler's session lacks settings
 */
export async function prepareSession(
  client: pg.ClientBase,
  { isManaged, msMax, allowsStandby = false }: { isManaged: boolean; msMax: number; allowsStandby?: boolean },
): Promise<{ isPooled: boolean }> {
  const ownPid = processIdOf(client)
  const statement = { text: isManaged ? read : apply, values: [names, values, ownPid], query_timeout: msMax }
  const { rows } = await client.query<Row>(statement)
  const [session] = rows
  if (!session) throw new Error('PostgreSQL returned no session settings')
  if (session.isStandby && !allowsStandby) throw new ReadOnlyDatabase('a standby')
  const wrong = rows.filter(({ name, actual }) => actual !== sessionSettings[name])
  if (wrong.length > 0)
    throw new UnusableSession(
      `the connection leads through a pooler, whose sessions are shared, and the role lacks settings that the service needs. Run as the database's owner, directly on PostgreSQL: ${wrong.map(({ name }) => roleSetting('<role>', name)).join('; ')}. Then reconnect the pooler.`,
    )
  return { isPooled: session.pid !== ownPid }
}

/** @param role an SQL identifier */
export function roleSetting(role: string, name: string): string {
  return `ALTER ROLE ${role} SET ${name} = '${sessionSettings[name]}'`
}

/**
 * The server process's id from the start of the connection. A pooler reports an invented one, because its server
 * process may differ between transactions.
 */
export function processIdOf(client: pg.ClientBase): number {
  return (client as Client).processID ?? 0
}
