// The interface of PostgreSQL for services.
import type { NodePgDatabase } from 'drizzle-orm/node-postgres'
import type { QueryResultRow } from 'pg'
import type { Keyed } from './dataloader.ts'

/** Statements on one connection: Drizzle's query builder, and plain SQL for hot or special statements. */
export type Queries = NodePgDatabase & {
  /** A named statement, prepared once. PostgreSQL may switch to a generic plan, so plans must not depend on values. */
  prepared<Row extends QueryResultRow>(name: string, text: string, values: unknown[]): Promise<Row[]>
  /** Planned on each call, for plans that depend on the values or on how full a table is at the moment. */
  unprepared<Row extends QueryResultRow>(text: string, values: unknown[]): Promise<Row[]>
}

/** Statements of a session of its own, which may also copy. */
export type BulkQueries = Queries & {
  /**
   * Runs a `COPY … FROM STDIN`.
   * @param rows in the statement's format
   */
  copyIn(text: string, rows: Uint8Array): Promise<void>
  /** Runs a `COPY … TO STDOUT`. Read it to its end before the next statement. */
  copyOut(text: string): AsyncIterable<Uint8Array>
}

export type Session = {
  /** As `Database.transaction`, with time limits for long statements. */
  transaction<T>(work: (queries: BulkQueries) => Promise<T>): Promise<T>
}

/** PostgreSQL answers but rejects writes: it is a standby, or configured read-only. */
export class ReadOnlyDatabase extends Error {
  constructor(reason: 'a standby' | 'read-only') {
    super(
      `the database rejects writes: DATABASE_URL leads to ${reason === 'a standby' ? 'a standby' : 'read-only sessions'}`,
    )
  }
}

/** @template T the result of the work */
export type StaleRead<T> = {
  value: T
  /** The age of the data in seconds, rounded up. Undefined for an answer of the primary. */
  ageSeconds: number | undefined
}

/** A read replica, for metrics. */
export type ReplicaState = {
  /** The reads that may be stale and that the replica has answered. */
  answered: number
  /** Those that it could not answer. */
  passed: number
  /** How old its data is at most; undefined if that is unknown. */
  lagSeconds: number | undefined
}

export type PoolUsage = { connections: number; busy: number; waiting: number }

/** The share of work without a caller: background jobs and probes. */
export const serviceShare = 'service'

export type Database = {
  /**
   * The same database for the work of one caller, which shares the connections fairly with that of other callers.
   * `readByKey` batches across callers, so it ignores the share.
   */
  of(share: string): Database
  /** Call it for each request, so that callers share PostgreSQL fairly while several of them are active. */
  noteCaller(share: string): void
  /**
   * Reads one row by its key, batched with concurrent reads of the same name into one prepared statement.
   * @param text takes an array of keys as `$1` and returns at most one row for each, with that `key`
   * @throws ServiceError `unavailable` or `overloaded`
   */
  readByKey<Row extends Keyed>(name: string, text: string, key: string): Promise<Row | undefined>
  /**
   * Here and in `transaction`, `work` is repeated after a deadlock or a serialization failure.
   * @throws ServiceError `unavailable` or `overloaded`
   */
  query<T>(work: (queries: Queries) => Promise<T>): Promise<T>
  /**
   * As `query`, but a read replica may answer if its data is young enough.
   * @param secondsMax the greatest age of the data, a whole number
   * @param work only reads, and may run twice
   */
  readStale<T>(secondsMax: number, work: (queries: Queries) => Promise<T>): Promise<StaleRead<T>>
  /** Measures the lag. @returns undefined without a read replica */
  readReplicaState(): Promise<ReplicaState | undefined>
  /**
   * Commits when `work` resolves, rolls back when it throws.
   * @throws ServiceError `unavailable` or `overloaded`. After `unavailable` the change may be committed, because the
   *   connection can be lost between the commit and its confirmation.
   */
  transaction<T>(work: (queries: Queries) => Promise<T>): Promise<T>
  /**
   * Opens a connection for the time of `work`, besides those of requests, for jobs that move many rows.
   * @throws ServiceError `unavailable`
   */
  ownSession<T>(work: (session: Session) => Promise<T>): Promise<T>
  /** The pool now: its open connections, those in use, and the calls that wait for one. */
  usage(): PoolUsage
  /** @throws ServiceError `unavailable` unless PostgreSQL accepts writes; caused by `ReadOnlyDatabase` if it answers */
  check(): Promise<void>
  close(): Promise<void>
}
