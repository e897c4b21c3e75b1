// Creates jobs: an import that waits for its file, an export, and the undoing of another job.
import { v7 as uuidv7 } from 'uuid'
import type { Queries } from '../../connection/postgres/database.ts'
import { violatedUniqueConstraint } from '../../connection/postgres/sqlstates.ts'
import { ServiceError } from '../../model/errors.ts'
import type { ExportBody, ImportBody, Job } from '../../model/job.ts'
import type { JobKind } from '../../model/job-states.ts'
import type { WriteContext } from '../context.ts'
import { readFilters } from '../export/filters.ts'
import type { Caller } from '../identity/access.ts'
import { storeJobFile } from './job-file.ts'
import type { JobRow } from './job-row.ts'
import { lockJob, readJob, type WantedJob } from './read.ts'

/** Jobs that have not ended. More would mean that a script creates them without running them. */
const openJobsMax = 1_000

type NewJob = {
  kind: JobKind
  format: string | null
  options: object
  undoes?: string
  /** Of an undone bulk change, or of an export by ids. */
  rowsTotal?: number
  /** An import waits for its file before it starts. */
  isStarted: boolean
}

const insertion = `
INSERT INTO jobs (id, kind, state, format, options, undoes, created_by, rows_total, started_at)
SELECT $1, $2, 'waiting', $3, $4, $5, $6, $7, CASE WHEN $8::bool THEN clock_timestamp() END
WHERE (SELECT count(*) FROM (SELECT FROM jobs WHERE ended_at IS NULL LIMIT ${openJobsMax}) open) < ${openJobsMax}
RETURNING id`

/** @returns the job's id. @throws ServiceError `unauthenticated`, `overloaded` */
export async function insertJob(
  ctx: WriteContext,
  caller: Caller,
  { job, queries }: { job: NewJob; queries: Queries },
): Promise<string> {
  await ctx.callers.confirm(queries, caller)
  const { kind, format, options, undoes = null, rowsTotal = null, isStarted } = job
  const values = [uuidv7(), kind, format, options, undoes, caller.key, rowsTotal, isStarted]
  const [row] = await queries.unprepared<{ id: string }>(insertion, values)
  if (!row)
    throw new ServiceError(
      'overloaded',
      `There are ${openJobsMax} jobs that have not ended. Cancel those that are not needed.`,
      { retryAfterSeconds: 60 },
    )
  return row.id
}

/** Creates an import that waits for its file. @throws ServiceError `unauthenticated`, `overloaded`, `unavailable` */
export async function createImport(ctx: WriteContext, caller: Caller, body: ImportBody): Promise<Job> {
  const { format, options: parameters, ...options } = body
  const job: NewJob = { kind: 'import', format, options, isStarted: false }
  const id = await ctx.db.transaction((queries) => insertJob(ctx, caller, { job, queries }))
  // The parameters may be secret, so they are kept like the file and removed with it.
  if (parameters !== undefined) {
    const bytes = Buffer.from(JSON.stringify(parameters))
    await storeJobFile(ctx, caller, { jobId: id, role: 'options', bytes: [bytes], bytesMax: bytes.length })
  }
  return readJob(ctx, { id })
}

/**
 * Starts an export.
 * @throws ServiceError `invalid` for a filter that the list does not take, `unauthenticated`, `overloaded`, `unavailable`
 */
export async function createExport(ctx: WriteContext, caller: Caller, body: ExportBody): Promise<Job> {
  const { format, ...options } = body
  readFilters(options.filters)
  const rowsTotal = options.ids && { rowsTotal: new Set(options.ids).size }
  const job: NewJob = { kind: 'export', format, options, ...rowsTotal, isStarted: true }
  const id = await ctx.db.transaction((queries) => insertJob(ctx, caller, { job, queries }))
  ctx.logger.info('export requested', { job: id, include_hashes: options.include_hashes })
  return readJob(ctx, { id })
}

/**
 * Starts erasing the users that an import created and that were not changed since.
 * @throws ServiceError `not_found`, `conflict`, `unauthenticated`, `overloaded`, `unavailable`
 */
export function createUndo(ctx: WriteContext, caller: Caller, id: string): Promise<Job> {
  return insertUndo(ctx, caller, { of: { id, kinds: ['import'] }, kind: 'undo', check: checkUndoable })
}

/**
 * Starts undoing a job, once.
 * @param undo.check throws if the job cannot be undone
 * @throws ServiceError `not_found`, `conflict`, `unauthenticated`, `overloaded`, `unavailable`
 */
export async function insertUndo(
  ctx: WriteContext,
  caller: Caller,
  { of, kind, check }: { of: WantedJob; kind: 'undo' | 'bulk_undo'; check: (job: JobRow) => void },
): Promise<Job> {
  try {
    const id = await ctx.db.transaction(async (queries) => {
      const undone = await lockJob(queries, of)
      check(undone)
      const rowsTotal = kind === 'bulk_undo' && { rowsTotal: undone.updated }
      const job: NewJob = { kind, format: null, options: {}, undoes: of.id, ...rowsTotal, isStarted: true }
      return insertJob(ctx, caller, { job, queries })
    })
    return await readJob(ctx, { id })
  } catch (error) {
    if (violatedUniqueConstraint(error) !== 'jobs_undoes') throw error
    throw new ServiceError('conflict', 'The job is being undone, or was. See its field undone_by.', {
      cause: error,
    })
  }
}

function checkUndoable({ endedAt, options }: JobRow): void {
  if (endedAt === null)
    throw new ServiceError('conflict', 'The import has not ended. Cancel it first: DELETE /import/{id}.')
  if ((options as Partial<ImportBody>).dry_run)
    throw new ServiceError('conflict', 'The import was a dry run and created no users.')
}
