// Reads jobs and their errors.
import type { Queries } from '../../connection/postgres/database.ts'
import { invalid, type ServiceError } from '../../model/errors.ts'
import type { Job, JobsQuery, Page } from '../../model/job.ts'
import { type JobKind, jobKinds } from '../../model/job-states.ts'
import { readUuid } from '../../model/uuid.ts'
import type { ServiceContext } from '../context.ts'
import { type JobRow, jobColumns, noSuchJob, toJob } from './job-row.ts'

export type WantedJob = { id: string; kinds?: JobKind[] }

const byId = `SELECT ${jobColumns} FROM jobs j WHERE j.id = $1 AND j.kind = ANY($2)`

/** @throws ServiceError `not_found` */
export async function readJob({ db }: Pick<ServiceContext, 'db'>, wanted: WantedJob): Promise<Job> {
  return toJob(await db.query((queries) => selectJob(queries, wanted, byId)))
}

/** Locks a job until the transaction ends. @throws ServiceError `not_found` */
export function lockJob(queries: Queries, wanted: WantedJob): Promise<JobRow> {
  return selectJob(queries, wanted, `${byId} FOR UPDATE OF j`)
}

async function selectJob(
  queries: Queries,
  { id, kinds = [...jobKinds] }: WantedJob,
  text: string,
): Promise<JobRow> {
  const [row] = await queries.unprepared<JobRow>(text, [id, kinds])
  if (!row) throw noSuchJob()
  return row
}

const page = `
SELECT ${jobColumns} FROM jobs j
WHERE j.kind = ANY($1) AND ($2::uuid IS NULL OR j.id < $2)
ORDER BY j.id DESC LIMIT $3`

/** The newest jobs first. @throws ServiceError `invalid` for a changed cursor */
export async function listJobs(
  { db }: ServiceContext,
  kinds: JobKind[],
  { limit, cursor }: JobsQuery,
): Promise<Page<Job>> {
  const after = cursor === undefined ? null : readUuid(cursor)
  if (after === undefined) throw changedCursor()
  const rows = await db.query((queries) => queries.unprepared<JobRow>(page, [kinds, after, limit + 1]))
  const items = rows.slice(0, limit).map(toJob)
  return { items, next_cursor: rows.length > limit ? (items.at(-1)?.id ?? null) : null }
}

type ErrorRow = { number: string; line: number; pointer: string; message: string }

const errorsPage = `
SELECT number, line::float8 AS line, pointer, message FROM job_errors
WHERE job_id = $1 AND number > $2 ORDER BY number LIMIT $3`

/** Refused rows in the order of the file. @throws ServiceError `not_found`, `invalid` for a changed cursor */
export async function listJobErrors(
  { db }: ServiceContext,
  wanted: WantedJob,
  { limit, cursor = '0' }: JobsQuery,
): Promise<Page<Omit<ErrorRow, 'number'>>> {
  if (!/^\d{1,15}$/.test(cursor)) throw changedCursor()
  const rows = await db.query(async (queries) => {
    await selectJob(queries, wanted, byId)
    return queries.unprepared<ErrorRow>(errorsPage, [wanted.id, cursor, limit + 1])
  })
  const items = rows.slice(0, limit)
  return {
    items: items.map(({ line, pointer, message }) => ({ line, pointer, message })),
    next_cursor: rows.length > limit ? (items.at(-1)?.number ?? null) : null,
  }
}

export function changedCursor(): ServiceError {
  return invalid({ parameter: 'cursor', message: 'must be the next_cursor of a previous page' })
}
