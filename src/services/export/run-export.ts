// Runs an export: writes the matching users in the order of their ids to an encrypted file. All of them are read in one
// snapshot, as by pg_dump, so that the file is the directory at one instant. It holds back vacuum for that time.
import { type SQL, sql } from 'drizzle-orm'
import type { Queries } from '../../connection/postgres/database.ts'
import type { ExportBody, ExportFormat } from '../../model/job.ts'
import { createTurns } from '../../platform/event-loop.ts'
import { storeFile } from '../jobs/job-file.ts'
import type { JobRun } from '../jobs/job-run.ts'
import { saveCheckpoint } from '../jobs/lease.ts'
import { matchingConditions } from '../users/list.ts'
import { whereOf } from '../users/page.ts'
import { type UserRow, userColumns } from '../users/user-row.ts'
import type { ExportedUser } from './exported-user.ts'
import { readFilters } from './filters.ts'
import { type CsvShape, csvHeader, csvLines } from './formats/csv.ts'
import { ndjsonLines } from './formats/ndjson.ts'

type ExportedRow = UserRow & { password_hash: string | null }

// Small enough not to delay requests while it is formatted.
const fetchedRows = 200
const checkpointEvery = 20_000
// The store may be slow, and counting the columns of a CSV reads all users.
const limits = `SET LOCAL statement_timeout = '30min'; SET LOCAL idle_in_transaction_session_timeout = '2min'`

/** @throws LeaseLost; ServiceError `unavailable` */
export async function runExport(run: JobRun): Promise<void> {
  const { ctx, job, session } = run
  const { filters, include_hashes } = job.options as ExportBody
  const where = whereOf(matchingConditions(readFilters(filters)))
  let rowsRead = 0
  await session.transaction(async (queries) => {
    await queries.unprepared('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY', [])
    for (const limit of limits.split('; ')) await queries.unprepared(limit, [])
    const format = await formatOf(job.format as ExportFormat, queries, {
      where,
      includesHashes: include_hashes,
    })
    const lines = async function* () {
      yield Buffer.from(format.header)
      for await (const rows of readRows(run, queries, where)) {
        rowsRead += rows.length
        yield Buffer.from(format.lines(rows.map((row) => toExported(row, include_hashes))))
        // In another transaction, because this one only reads.
        if (rowsRead % checkpointEvery < fetchedRows)
          await ctx.db.query((other) => saveCheckpoint(other, job, { ...job, rowsRead }))
      }
    }
    const file = {
      jobId: job.id,
      role: 'result' as const,
      bytes: lines(),
      bytesMax: Number.POSITIVE_INFINITY,
    }
    await storeFile(ctx, file, async (other, step) => {
      if (step === 'commit') await saveCheckpoint(other, job, { ...job, rowsRead })
    })
  })
}

async function* readRows({ signal }: JobRun, queries: Queries, where: SQL): AsyncGenerator<ExportedRow[]> {
  const { isOver, letOthersRun } = createTurns()
  await queries.execute(sql`
    DECLARE exported NO SCROLL CURSOR FOR
    SELECT ${sql.raw(userColumns)}, u.password_hash FROM users u ${where} ORDER BY u.id`)
  const fetch = () => queries.unprepared<ExportedRow>(`FETCH ${fetchedRows} FROM exported`, [])
  let next = fetch()
  for (;;) {
    const rows = await next
    if (rows.length === 0) return
    // PostgreSQL collects the next rows while these are formatted.
    next = fetch()
    // The next turn throws its error. If the reader stops before, the transaction meets it.
    next.catch(() => {})
    yield rows
    signal.throwIfAborted()
    if (isOver()) await letOthersRun()
  }
}

function toExported({ password_hash, ...row }: ExportedRow, includesHashes: boolean): ExportedUser {
  return {
    ...row,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
    ...(includesHashes && { password_hash }),
  }
}

type Format = { header: string; lines(users: ExportedUser[]): string }

async function formatOf(
  format: ExportFormat,
  queries: Queries,
  { where, includesHashes }: { where: SQL; includesHashes: boolean },
): Promise<Format> {
  if (format === 'ndjson') return { header: '', lines: ndjsonLines }
  const counted = await queries.execute<{ contacts: number }>(sql`
    SELECT coalesce(max(c.position) + 1, 0)::int AS contacts
    FROM contacts c WHERE c.user_id IN (SELECT u.id FROM users u ${where})`)
  const keys = await queries.execute<{ key: string; type: 'string' | 'number' | 'boolean' }>(sql`
    SELECT DISTINCT a.key COLLATE "C" AS key, jsonb_typeof(a.value) AS type
    FROM (SELECT u.attributes FROM users u ${where}) m, jsonb_each(m.attributes) a ORDER BY 1, 2`)
  const shape: CsvShape = {
    contacts: counted.rows[0]?.contacts ?? 0,
    attributes: keys.rows.map(({ key, type }) => ({ key, type: type === 'string' ? 'text' : type })),
    includesHashes,
  }
  return { header: csvHeader(shape), lines: (users) => csvLines(users, shape) }
}
