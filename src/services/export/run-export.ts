// Runs an export: writes the matching users in the order of their ids to an encrypted file. All of them are read in one
// snapshot, as by pg_dump, so that the file is the directory at one instant. It holds back vacuum for that time.
import { type SQL, sql } from 'drizzle-orm'
import type { Queries } from '../../connection/postgres/database.ts'
import type { ExportBody } from '../../model/job.ts'
import { createTurns } from '../../platform/event-loop.ts'
import { storeFile } from '../jobs/job-file.ts'
import type { JobRun } from '../jobs/job-run.ts'
import { saveCheckpoint } from '../jobs/lease.ts'
import { whereOf } from '../users/conditions.ts'
import { matchingConditions } from '../users/list.ts'
import { type UserRow, userColumns } from '../users/user-row.ts'
import type { ExportedUser } from './exported-user.ts'
import { readFilters } from './filters.ts'
import { type CsvShape, csvHeader, csvLines } from './formats/csv.ts'
import { ndjsonLine } from './formats/ndjson.ts'

type ExportedRow = UserRow & { password_hash?: string | null }

// Small enough not to delay requests while they are read and formatted: some two milliseconds.
const fetchedUsers = { ndjson: 1_000, csv: 200 }
const checkpointEvery = 20_000
// The store may be slow, and counting the columns of a CSV reads all users.
const limits = `SET LOCAL statement_timeout = '30min'; SET LOCAL idle_in_transaction_session_timeout = '2min'`

/** @throws LeaseLost; ServiceError `unavailable` */
export async function runExport(run: JobRun): Promise<void> {
  const { ctx, job, session } = run
  const { filters, ids, include_hashes } = job.options as ExportBody
  const where = whereOf(matchingConditions({ ...readFilters(filters), ...(ids && { ids }) }))
  let rowsRead = 0
  await session.transaction(async (queries) => {
    await queries.unprepared('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY', [])
    for (const limit of limits.split('; ')) await queries.unprepared(limit, [])
    const write = job.format === 'csv' ? writeCsv : writeNdjson
    const bytes = async function* () {
      for await (const { users, text } of write(run, queries, { where, includesHashes: include_hashes })) {
        rowsRead += users
        yield Buffer.from(text)
        // In another transaction, because this one only reads.
        if (rowsRead % checkpointEvery < users)
          await ctx.db.query((other) => saveCheckpoint(other, job, { ...job, rowsRead }))
      }
    }
    const file = {
      jobId: job.id,
      role: 'result' as const,
      bytes: bytes(),
      bytesMax: Number.POSITIVE_INFINITY,
    }
    await storeFile(ctx, file, async (other, step) => {
      if (step === 'commit') await saveCheckpoint(other, job, { ...job, rowsRead })
    })
  })
}

type Selection = { where: SQL; includesHashes: boolean }
/** A part of the file. */
type Part = { users: number; text: string }

async function* writeNdjson(
  run: JobRun,
  queries: Queries,
  { where, includesHashes }: Selection,
): AsyncGenerator<Part> {
  const columns = `${ndjsonLine(includesHashes)} AS line`
  for await (const rows of readRows<{ line: string }>(run, queries, {
    columns,
    where,
    fetched: fetchedUsers.ndjson,
  }))
    yield { users: rows.length, text: rows.map(({ line }) => `${line}\n`).join('') }
}

async function* writeCsv(
  run: JobRun,
  queries: Queries,
  { where, includesHashes }: Selection,
): AsyncGenerator<Part> {
  const shape = await csvShape(queries, { where, includesHashes })
  yield { users: 0, text: csvHeader(shape) }
  const columns = includesHashes ? `${userColumns}, u.password_hash` : userColumns
  for await (const rows of readRows<ExportedRow>(run, queries, {
    columns,
    where,
    fetched: fetchedUsers.csv,
  }))
    yield { users: rows.length, text: csvLines(rows.map(toExported), shape) }
}

async function* readRows<Row extends Record<string, unknown>>(
  { signal }: JobRun,
  queries: Queries,
  { columns, where, fetched }: { columns: string; where: SQL; fetched: number },
): AsyncGenerator<Row[]> {
  const { isOver, letOthersRun } = createTurns()
  await queries.execute(sql`
    DECLARE exported NO SCROLL CURSOR FOR
    SELECT ${sql.raw(columns)} FROM users u ${where} ORDER BY u.id`)
  const fetch = () => queries.unprepared<Row>(`FETCH ${fetched} FROM exported`, [])
  let next = fetch()
  for (;;) {
    const rows = await next
    if (rows.length === 0) return
    // PostgreSQL collects the next rows while these are formatted.
    next = fetch()
    // The next turn throws its error. If the reader stops before, the transaction meets it.
    next.catch(() => {})
    if (isOver()) await letOthersRun()
    yield rows
    signal.throwIfAborted()
  }
}

function toExported(row: ExportedRow): ExportedUser {
  return { ...row, created_at: row.created_at.toISOString(), updated_at: row.updated_at.toISOString() }
}

async function csvShape(queries: Queries, { where, includesHashes }: Selection): Promise<CsvShape> {
  const counted = await queries.execute<{ contacts: number }>(sql`
    SELECT coalesce(max(c.position) + 1, 0)::int AS contacts
    FROM contacts c WHERE c.user_id IN (SELECT u.id FROM users u ${where})`)
  const keys = await queries.execute<{ key: string; type: 'string' | 'number' | 'boolean' }>(sql`
    SELECT DISTINCT a.key COLLATE "C" AS key, jsonb_typeof(a.value) AS type
    FROM (SELECT u.attributes FROM users u ${where}) m, jsonb_each(m.attributes) a ORDER BY 1, 2`)
  return {
    contacts: counted.rows[0]?.contacts ?? 0,
    attributes: keys.rows.map(({ key, type }) => ({ key, type: type === 'string' ? 'text' : type })),
    includesHashes,
  }
}
