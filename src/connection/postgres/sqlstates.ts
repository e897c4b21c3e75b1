// Classifies failed calls to PostgreSQL by their SQLSTATE:
// https://www.postgresql.org/docs/current/errcodes-appendix.html
import { DrizzleQueryError } from 'drizzle-orm'
import pg from 'pg'
import { ReadOnlyDatabase } from './database.ts'

export type FailureKind =
  /** Rolled back; the same work may succeed immediately. */
  | 'retry'
  /** Temporary; the connection is usable. */
  | 'later'
  /** This connection rejects writes; a new one may lead to a server that accepts them. */
  | 'read-only'
  /** The connection is unusable. */
  | 'lost'

/** By state, or by class if all states of the class mean the same. Any other state is a bug or a constraint. */
const kindOfState: Record<string, FailureKind> = {
  '40001': 'retry', // serialization_failure, also a conflict with recovery
  '40P01': 'retry', // deadlock_detected

  '55P03': 'later', // lock_not_available: lock_timeout
  '57014': 'later', // query_canceled: statement_timeout
  '53': 'later', // insufficient_resources: disk_full, out_of_memory, configuration_limit_exceeded
  '58000': 'later', // system_error
  '58030': 'later', // io_error
  '72000': 'later', // snapshot_too_old

  '25006': 'read-only', // read_only_sql_transaction

  '08': 'lost', // connection_exception, also errors of PgBouncer itself
  '53300': 'lost', // too_many_connections
  '57': 'lost', // operator_intervention: shutdown, crash, starting up, database dropped, idle_session_timeout
  '25P03': 'lost', // idle_in_transaction_session_timeout
  '25P04': 'lost', // transaction_timeout
  // The driver's view of the prepared statements is wrong: behind a pooler that does not track them, after DISCARD ALL,
  // or after a migration. A new connection prepares them again.
  '26000': 'lost', // invalid_sql_statement_name
  '42P05': 'lost', // duplicate_prepared_statement
  '0A000': 'lost', // feature_not_supported: cached plan must not change result type
}

export type Failure = { kind: FailureKind; cause: unknown }

/** A failed call to the driver whose statement is not at fault. */
class FailedCall extends Error {
  readonly failure: Failure

  constructor(failure: Failure) {
    super('the call to the database failed', { cause: failure.cause })
    this.failure = failure
  }
}

/** Marks the failures of a call to the driver, so that `failureOf` can tell them from other errors later. */
export async function onWire<T>(call: Promise<T>): Promise<T> {
  try {
    return await call
  } catch (error) {
    const failure = classify(error)
    throw failure ? new FailedCall(failure) : error
  }
}

/** @returns undefined for an error that PostgreSQL did not cause, or that the statement caused */
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

/** The unique constraint that a statement violated (SQLSTATE 23505); undefined for any other error. */
export function violatedUniqueConstraint(error: unknown): string | undefined {
  const cause = error instanceof DrizzleQueryError ? error.cause : error
  return cause instanceof pg.DatabaseError && cause.code === '23505' ? cause.constraint : undefined
}
