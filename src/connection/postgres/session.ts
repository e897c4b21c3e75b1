// Settings that a session must have, whatever the defaults of the server, the database and the role are.
import type pg from 'pg'
import type { Client } from './client.ts'
import { ReadOnlyDatabase } from './database.ts'

/**
 * Settings that our statements and the driver's parsers rely on, as PostgreSQL shows it. A setting that a version does not have
 * is left out. Whether transactions are read-only is the operator's to say, and no setting of ours.
 */
export const sessionSettings: Record<string, string> = {
  // Values come as text: the driver reads instants in this form alone.
  DateStyle: 'ISO, YMD',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  extra_float_digits: '1',
  array_nulls: 'on',
  // Statements name tables and the functions of pg_trgm without their schema.
  search_path: 'public',
  standard_conforming_strings: 'on',
  // Row locks and conditional statements settle races, as they do at this level.
  default_transaction_isolation: 'read committed',
  // The server gives up as well, so that what nobody waits for does not go on using it.
  statement_timeout: '1500ms',
  idle_in_transaction_session_timeout: '10s',
  lock_timeout: '0',
  idle_session_timeout: '0',
  transaction_timeout: '0',
  // Plans as they were measured: one for each search's values, and no compiling for statements this short.
  plan_cache_mode: 'auto',
  jit: 'off',
  // One statement takes one processor, so that a caller's share of connections is its share of processors.
  max_parallel_workers_per_gather: '0',
  // Anything else leaves out matches of a search.
  gin_fuzzy_search_limit: '0',
}

const names = Object.keys(sessionSettings)
const values = Object.values(sessionSettings)
const known = `unnest($1::text[], $2::text[]) AS s (name, value) WHERE current_setting(s.name, true) IS NOT NULL`
const about = 'pg_backend_pid() AS pid, pg_is_in_recovery() AS "isStandby"'

/** Sets what is not set, unless the connection leads through a pooler: there the session is not this client's. */
const apply = `
SELECT s.name, ${about},
  CASE WHEN pg_backend_pid() = $3 THEN set_config(s.name, s.value, false) ELSE current_setting(s.name) END AS actual
FROM ${known}`
const read = `SELECT s.name, ${about}, current_setting(s.name) AS actual, $3::int FROM ${known}`

type Row = { name: string; pid: number; isStandby: boolean; actual: string }

/** Why a connection cannot be used, and what to do. */
export class UnusableSession extends Error {}

/**
 * Sets a new connection's session up, in one round trip.
 * @param isManaged the connection leads through RDS Proxy, which gives a client that sets anything a connection for
 *   itself: the role's settings are relied upon, and only looked at
 * @returns whether a pooler is in between, which may give each transaction another session
 * @throws ReadOnlyDatabase when the server is a standby, which may be behind; UnusableSession when a pooler's session
 *   lacks settings
 */
export async function prepareSession(
  client: pg.ClientBase,
  { isManaged, msMax }: { isManaged: boolean; msMax: number },
): Promise<{ isPooled: boolean }> {
  const ownPid = processIdOf(client)
  const statement = { text: isManaged ? read : apply, values: [names, values, ownPid], query_timeout: msMax }
  const { rows } = await client.query<Row>(statement)
  const [session] = rows
  if (!session) throw new Error('PostgreSQL knows none of the settings of a session')
  if (session.isStandby) throw new ReadOnlyDatabase('a standby')
  const wrong = rows.filter(({ name, actual }) => actual !== sessionSettings[name])
  if (wrong.length > 0)
    throw new UnusableSession(
      `the connection leads through a pooler, where sessions are shared, and the role's settings are not what the service needs. Run as the database's owner, on PostgreSQL itself: ${wrong.map(({ name }) => roleSetting('<role>', name)).join('; ')}. Then reconnect the pooler.`,
    )
  return { isPooled: session.pid !== ownPid }
}

/** @param role an SQL identifier */
export function roleSetting(role: string, name: string): string {
  return `ALTER ROLE ${role} SET ${name} = '${sessionSettings[name]}'`
}

/**
 * The process that the server said it gives this connection. A pooler makes one up, since the process differs from
 * one transaction to the next.
 */
export function processIdOf(client: pg.ClientBase): number {
  return (client as Client).processID ?? 0
}
