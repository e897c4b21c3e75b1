// The tables of jobs, which move many users in or out: docs/adr/0024-jobs-as-rows-with-leases.md.
import { sql } from 'drizzle-orm'
import {
  bigint,
  check,
  customType,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core'
import { instant } from './instant-column.ts'
import { jobKinds, jobStates } from './job-states.ts'

const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' })
const count = (name: string) => bigint(name, { mode: 'number' }).notNull().default(0)

export const jobs = pgTable(
  'jobs',
  {
    /** UUIDv7, so that the order of ids is the order of creation. */
    id: uuid('id').primaryKey(),
    kind: text('kind', { enum: jobKinds }).notNull(),
    state: text('state', { enum: jobStates }).notNull(),
    /** Of imports and exports only. */
    format: text('format'),
    /** The request, without secrets: those are files. */
    options: jsonb('options').notNull(),
    /** The job that an undo reverts. */
    undoes: uuid('undoes'),
    /** The key of the caller who created the job. */
    createdBy: text('created_by').notNull(),
    createdAt: instant('created_at').notNull().default(sql`clock_timestamp()`),
    /** When the job was released to be run; null while it waits for its file. */
    startedAt: instant('started_at'),
    endedAt: instant('ended_at'),
    /** Why the job failed, for people. */
    error: text('error'),

    /** Changes with every claim. A process that lost its lease can commit nothing. */
    leaseToken: uuid('lease_token'),
    leasedUntil: instant('leased_until'),
    /** Claims since the last checkpoint that ended without a word: the process was killed. */
    attempts: integer('attempts').notNull().default(0),

    // The checkpoint: rows that are committed, and what became of them.
    bytesRead: count('bytes_read'),
    rowsRead: count('rows_read'),
    /** The users of a bulk change, null until they are collected; the ids of an export. Null for other jobs. */
    rowsTotal: bigint('rows_total', { mode: 'number' }),
    created: count('created'),
    updated: count('updated'),
    unchanged: count('unchanged'),
    skipped: count('skipped'),
    refused: count('refused'),
    erased: count('erased'),
    /** Where an undo goes on. */
    position: text('position'),
    /** Time spent, for the rate. */
    workedMs: count('worked_ms'),
  },
  (jobs) => [
    index('jobs_open').on(jobs.startedAt).where(sql`${jobs.endedAt} IS NULL`),
    uniqueIndex('jobs_undoes').on(jobs.undoes).where(sql`${jobs.state} NOT IN ('failed', 'cancelled')`),
    check('jobs_kind_known', sql`${jobs.kind} IN ('import', 'export', 'undo', 'bulk', 'bulk_undo')`),
    check('jobs_state_known', sql`${jobs.state} IN ('waiting', 'running', 'done', 'failed', 'cancelled')`),
    check(
      'jobs_ended',
      sql`(${jobs.endedAt} IS NOT NULL) = (${jobs.state} IN ('done', 'failed', 'cancelled'))`,
    ),
  ],
)

/**
 * The files of jobs. A row exists before its file and is deleted after it, so that no file is forgotten.
 */
export const jobFiles = pgTable(
  'job_files',
  {
    /** The file's name in the store. */
    id: uuid('id').primaryKey(),
    jobId: uuid('job_id')
      .notNull()
      .references(() => jobs.id),
    /** `options`: the parameters of an import that may be secret. */
    role: text('role', { enum: ['source', 'hashes', 'options', 'result'] }).notNull(),
    /** Without it the file cannot be read. Null for a file that clients exchange with the store, which encrypts it itself. */
    key: bytea('key'),
    /** The content that a client sent to the store, fixed at the start of the import. */
    etag: text('etag'),
    /** The size before encryption; null until the file is complete. */
    bytes: bigint('bytes', { mode: 'number' }),
    createdAt: instant('created_at').notNull().default(sql`clock_timestamp()`),
  },
  (files) => [
    uniqueIndex('job_files_role').on(files.jobId, files.role).where(sql`${files.bytes} IS NOT NULL`),
    index('job_files_job').on(files.jobId),
    check('job_files_role_known', sql`${files.role} IN ('source', 'hashes', 'options', 'result')`),
  ],
)

/** Rows that an import refused, and users that an undo or a bulk change kept. */
export const jobErrors = pgTable(
  'job_errors',
  {
    jobId: uuid('job_id')
      .notNull()
      .references(() => jobs.id, { onDelete: 'cascade' }),
    /** Grows with the line. */
    number: bigint('number', { mode: 'number' }).notNull(),
    line: bigint('line', { mode: 'number' }).notNull(),
    pointer: text('pointer').notNull(),
    message: text('message').notNull(),
  },
  (errors) => [primaryKey({ columns: [errors.jobId, errors.number] })],
)

/**
 * The users that each chunk of an import created, for an undo. One row holds a whole chunk, because a row for each user
 * would cost a tenth of the import.
 */
export const jobCreatedUsers = pgTable(
  'job_created_users',
  {
    jobId: uuid('job_id')
      .notNull()
      .references(() => jobs.id, { onDelete: 'cascade' }),
    /** The job's count of rows after the chunk. */
    chunk: bigint('chunk', { mode: 'number' }).notNull(),
    userIds: uuid('user_ids').array().notNull(),
    /** The versions that the users were created with. A user with another version has been changed since. */
    versions: integer('versions').array().notNull(),
  },
  (created) => [primaryKey({ columns: [created.jobId, created.chunk] })],
)

/**
 * The users of a bulk change by chunk. Before a chunk is committed they are those to look at. Afterwards they are those
 * that were changed, for an undo.
 */
export const jobChunks = pgTable(
  'job_chunks',
  {
    jobId: uuid('job_id')
      .notNull()
      .references(() => jobs.id, { onDelete: 'cascade' }),
    /** From 1. */
    number: integer('number').notNull(),
    userIds: uuid('user_ids').array().notNull(),
    /** The versions after the change; null until the chunk is committed. */
    versions: integer('versions').array(),
    /** The patch that restores each user; null until the chunk is committed. */
    restores: jsonb('restores'),
  },
  (chunks) => [primaryKey({ columns: [chunks.jobId, chunks.number] })],
)
