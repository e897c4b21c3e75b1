// Selects a job, and turns the row into the job that the API returns.
import { ServiceError } from '../../model/errors.ts'
import type { Job } from '../../model/job.ts'
import type { jobs } from '../../model/job-tables.ts'

/** A row of `jobColumns`. Counts are numbers, because they stay far below 2^53. */
export type JobRow = Omit<typeof jobs.$inferSelect, 'leaseToken' | 'leasedUntil'> & {
  bytesTotal: number | null
  undoneBy: string | null
}

const counts = Object.entries({
  bytes_read: 'bytesRead',
  rows_read: 'rowsRead',
  created: 'created',
  updated: 'updated',
  unchanged: 'unchanged',
  skipped: 'skipped',
  refused: 'refused',
  erased: 'erased',
  worked_ms: 'workedMs',
})

/** The columns of a job, for `FROM jobs j`. */
export const jobColumns = `
  j.id, j.kind, j.state, j.format, j.options, j.undoes, j.created_by AS "createdBy", j.created_at AS "createdAt",
  j.started_at AS "startedAt", j.ended_at AS "endedAt", j.error, j.attempts, j.position,
  j.rows_total::float8 AS "rowsTotal",
  ${counts.map(([column, name]) => `j.${column}::float8 AS "${name}"`).join(', ')},
  (
    SELECT f.bytes::float8 FROM job_files f
    WHERE f.job_id = j.id AND f.role IN ('source', 'result') AND f.bytes IS NOT NULL
  ) AS "bytesTotal",
  (
    SELECT u.id FROM jobs u WHERE u.undoes = j.id AND u.state NOT IN ('failed', 'cancelled')
  ) AS "undoneBy"`

export function toJob(row: JobRow): Job {
  const { bytesTotal, workedMs, rowsRead, bytesRead } = row
  const seconds = workedMs / 1_000
  const [done, total] = row.rowsTotal === null ? [bytesRead, bytesTotal] : [rowsRead, row.rowsTotal]
  // An export may have a thousand ids, which a list of jobs would repeat.
  const { ids: _ids, ...options } = row.options as Partial<Job> & { ids?: string[] }
  const isMoving = row.state === 'running' && seconds > 0 && done > 0 && total !== null
  return {
    id: row.id,
    kind: row.kind,
    state: row.state,
    format: row.format,
    ...options,
    undoes: row.undoes,
    undone_by: row.undoneBy,
    created_by: row.createdBy,
    created_at: row.createdAt.toISOString(),
    started_at: row.startedAt?.toISOString() ?? null,
    ended_at: row.endedAt?.toISOString() ?? null,
    error: row.error,
    bytes_read: bytesRead,
    bytes_total: bytesTotal,
    rows_read: rowsRead,
    rows_total: row.rowsTotal,
    created: row.created,
    updated: row.updated,
    unchanged: row.unchanged,
    skipped: row.skipped,
    refused: row.refused,
    erased: row.erased,
    rows_per_second: seconds > 0 ? Math.round(rowsRead / seconds) : null,
    seconds_left: isMoving ? Math.ceil(((total - done) / done) * seconds) : null,
  }
}

export function noSuchJob(): ServiceError {
  return new ServiceError('not_found', 'There is no such job. Jobs are removed 90 days after their end.')
}
