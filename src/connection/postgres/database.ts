// The types of PostgreSQL as services see it.
import type { NodePgDatabase } from 'drizzle-orm/node-postgres'
import type { QueryResultRow } from 'pg'
import type { Keyed } from './dataloader.ts'

/** Statements on one connection: Drizzle's builder, and plain ones for the few that are hot or particular. */
export type Queries = NodePgDatabase & {
  /** A named statement, prepared once. PostgreSQL may switch to a generic plan, so plans must not depend on values. */
  prepared<Row extends QueryResultRow>(name: string, text: string, values: unknown[]): Promise<Row[]>
  /** Planned on each call, for plans that depend on the values or on how full a table is at the moment. */
  unprepared<Row extends QueryResultRow>(text: string, values: unknown[]): Promise<Row[]>
}

/** PostgreSQL answers, and takes no writes: it is a standby, or its operator lets nothing be written. */
export class ReadOnlyDatabase extends Error {
  constructor(reason: 'a standby' | 'read-only') {
    super(
      `the database takes no writes: DATABASE_URL leads to ${reason === 'a standby' ? 'a standby' : 'sessions that are read-only'}`,
    )
  }
}

export type Database = {
  /**
   * The same database, for the work of one caller: it waits in line with the caller's other work and takes turns with
   * that of others. Reads by key go out together with those of others and have no share.
   */
  of(share: string): Database
  /**
   * Reads one row by its key, in one prepared statement with the others that are asked for by that name meanwhile.
   * @param text takes an array of keys as `$1` and answers at most one row for each, with that `key`
   * @throws ServiceError `unavailable` or `overloaded`
   */
  readByKey<Row extends Keyed>(name: string, text: string, key: string): Promise<Row | undefined>
  /**
   * `work` is done again after a deadlock or a serialization failure, here and in `transaction`: it must be repeatable.
   * @throws ServiceError `unavailable` or `overloaded`
   */
  query<T>(work: (queries: Queries) => Promise<T>): Promise<T>
  /**
   * Commits when `work` resolves, rolls back when it throws.
   * @throws ServiceError `unavailable` or `overloaded`. After `unavailable` the change may have been
   *   committed: the connection can be lost between the commit and its confirmation.
   */
  transaction<T>(work: (queries: Queries) => Promise<T>): Promise<T>
  /** @throws ServiceError `unavailable` unless PostgreSQL takes writes now; its cause is a `ReadOnlyDatabase` if it answers */
  check(): Promise<void>
  close(): Promise<void>
}
