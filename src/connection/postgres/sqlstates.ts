// The meaning of a failed call to PostgreSQL, by its SQLSTATE:
// https://www.postgresql.org/docs/current/errcodes-appendix.html
import { DrizzleQueryError } from 'drizzle-orm'
import pg from 'pg'
import { ReadOnlyDatabase } from './database.ts'

/**
 * `again`: nothing was done, and the same work may succeed at once. `later`: it will pass, and the connection is good.
 * `read-only`: this connection takes no writes; another may lead to a server that does. `lost`: the connection is of
 * no more use. What has none of these is a fault, of the statement or of the database.
 */
export type FailureKind = 'again' | 'later' | 'read-only' | 'lost'

/** By the state, or by its class where all states of a class mean the same. */
const kindOfState: Record<string, FailureKind> = {
  '40001': 'again', // serialization_failure, also a conflict with recovery
  '40P01': 'again', // deadlock_detected

  '55P03': 'later', // lock_not_available: lock_timeout
  '57014': 'later', // query_canceled: statement_timeout
  '53': 'later', // insufficient_resources: disk_full, out_of_memory, configuration_limit_exceeded
  '58000': 'later', // system_error
  '58030': 'later', // io_error
  '72000': 'later', // snapshot_too_old

  '25006': 'read-only', // read_only_sql_transaction

  '08': 'lost', // connection_exception, also what PgBouncer reports about itself
  '53300': 'lost', // too_many_connections
  '57': 'lost', // operator_intervention: shutdown, crash, starting up, database dropped, idle for too long
  '25P03': 'lost', // idle_in_transaction_session_timeout
  '25P04': 'lost', // transaction_timeout
  // The connection's prepared statements are not what the driver takes them for: behind a pooler that does not know
  // them, after DISCARD ALL, or after a migration. They are prepared again on a new connection.
  '26000': 'lost', // invalid_sql_statement_name
  '42P05': 'lost', // duplicate_prepared_statement
  '0A000': 'lost', // feature_not_supported: cached plan must not change result type
}

export type Failure = { kind: FailureKind; cause: unknown }

/** A call to the driver that failed for a reason other than its statement. */
class FailedCall extends Error {
  readonly failure: Failure

  constructor(failure: Failure) {
    super('the call to the database failed', { cause: failure.cause })
    this.failure = failure
  }
}

/** Marks the failures of a call to the driver, which could not be told from errors of other code later. */
export async function onWire<T>(call: Promise<T>): Promise<T> {
  try {
    return await call
  } catch (error) {
    const failure = classify(error)
    throw failure ? new FailedCall(failure) : error
  }
}

/** @returns undefined for an error that PostgreSQL did not cause, or that says the statement is at fault */
export function failureOf(error: unknown): Failure | undefined {
  if (error instanceof FailedCall) return error.failure
  if (error instanceof ReadOnlyDatabase) return { kind: 'read-only', cause: error }
  return error instanceof DrizzleQueryError ? classify(error.cause) : undefined
}

function classify(cause: unknown): Failure | undefined {
  if (!(cause instanceof pg.DatabaseError)) return { kind: 'lost', cause }
  const { code = '' } = cause
  const kind = kindOfState[code] ?? kindOfState[code.slice(0, 2)]
  return kind && { kind, cause }
}

/** The constraint that a statement broke, when it broke a unique one (SQLSTATE 23505). */
export function violatedUniqueConstraint(error: unknown): string | undefined {
  const cause = error instanceof DrizzleQueryError ? error.cause : error
  return cause instanceof pg.DatabaseError && cause.code === '23505' ? cause.constraint : undefined
}
