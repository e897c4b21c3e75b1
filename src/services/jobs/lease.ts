// Leases of jobs. A process claims a job for a while and renews the claim. Each claim has its own token, and a checkpoint
// commits only with the current one, so a process that was frozen cannot commit after another has taken its job over.
import { randomUUID } from 'node:crypto'
import type { Queries } from '../../connection/postgres/database.ts'
import { type JobLane, jobLanes } from '../../model/job-states.ts'
import type { ServiceContext } from '../context.ts'
import { type JobRow, jobColumns } from './job-row.ts'

type LeaseContext = Pick<ServiceContext, 'db'>

export type ClaimedJob = JobRow & { token: string; claimedAt: number }

/** The committed part of a job. */
export type Progress = Pick<
  JobRow,
  | 'bytesRead'
  | 'rowsRead'
  | 'created'
  | 'updated'
  | 'unchanged'
  | 'skipped'
  | 'refused'
  | 'erased'
  | 'position'
>

const leaseMs = 30_000
export const renewEveryMs = 5_000
/** Processes that may end without a checkpoint, one after the other, before the job counts as the cause. */
const attemptsMax = 5
// An arbitrary advisory lock key that nothing else in the database uses.
const claimKey = 7_301_460

/** The job was cancelled, or another process has taken it over. */
export class LeaseLost extends Error {}

// One job of a lane runs at a time. The lock makes claims take turns.
const claimText = `
WITH due AS (
  SELECT id FROM jobs
  WHERE ended_at IS NULL AND started_at IS NOT NULL
    AND kind = ANY($2) AND (leased_until IS NULL OR leased_until <= clock_timestamp())
    AND NOT EXISTS (
      SELECT FROM jobs o
      WHERE o.kind = ANY($2) AND o.ended_at IS NULL AND o.lease_token IS NOT NULL AND o.leased_until > clock_timestamp()
    )
    AND pg_try_advisory_xact_lock(${claimKey}, $3)
  ORDER BY started_at LIMIT 1
  FOR UPDATE SKIP LOCKED
)
UPDATE jobs j SET state = 'running', lease_token = $1, attempts = attempts + 1,
  leased_until = clock_timestamp() + interval '${leaseMs} ms'
FROM due WHERE j.id = due.id
RETURNING ${jobColumns}`

/**
 * Claims the job of a lane that has waited longest, unless one is running.
 * @throws ServiceError `unavailable`, `overloaded`
 */
export async function claimJob(ctx: LeaseContext, lane: JobLane): Promise<ClaimedJob | undefined> {
  const token = randomUUID()
  const values = [token, lane, jobLanes.indexOf(lane)]
  const [row] = await ctx.db.transaction((queries) => queries.unprepared<JobRow>(claimText, values))
  if (!row) return undefined
  const job = { ...row, token, claimedAt: performance.now() }
  if (job.attempts <= attemptsMax) return job
  const error =
    job.kind === 'export'
      ? `The export was interrupted ${attemptsMax} times, and an export starts again each time. Export the users in parts, by filters such as created_before.`
      : `The process that ran the job ended ${attemptsMax} times after row ${job.rowsRead}. See the log.`
  await endJob(ctx, job, { state: 'failed', error })
  return undefined
}

const isOwn = `id = $1 AND lease_token = $2 AND state = 'running'`

/** @returns false if the job is no longer this process's. @throws ServiceError `unavailable`, `overloaded` */
export async function renewLease({ db }: LeaseContext, { id, token }: ClaimedJob): Promise<boolean> {
  const text = `UPDATE jobs SET leased_until = clock_timestamp() + interval '${leaseMs} ms' WHERE ${isOwn} RETURNING id`
  return (await db.query((queries) => queries.unprepared(text, [id, token]))).length > 0
}

// An export starts again after an interruption, so its progress is no checkpoint.
const attemptsAfterProgress = `attempts = CASE WHEN kind = 'export' THEN attempts ELSE 0 END`

const checkpointText = `
UPDATE jobs SET bytes_read = $3, rows_read = $4, created = $5, updated = $6, unchanged = $7, skipped = $8,
  refused = $9, erased = $10, position = $11, worked_ms = $12, ${attemptsAfterProgress}
WHERE ${isOwn} RETURNING id`

/** Records progress in the transaction that makes it, as its last statement. @throws LeaseLost */
export async function saveCheckpoint(queries: Queries, job: ClaimedJob, progress: Progress): Promise<void> {
  const { bytesRead, rowsRead, created, updated, unchanged, skipped, refused, erased, position } = progress
  const workedMs = Math.round(job.workedMs + performance.now() - job.claimedAt)
  const counts = [bytesRead, rowsRead, created, updated, unchanged, skipped, refused, erased]
  const rows = await queries.unprepared(checkpointText, [job.id, job.token, ...counts, position, workedMs])
  if (rows.length === 0) throw new LeaseLost('the job was cancelled or taken over')
}

/** Ends a job, unless it was cancelled or taken over. @throws ServiceError `unavailable`, `overloaded` */
export async function endJob(
  { db }: LeaseContext,
  { id, token }: ClaimedJob,
  { state, error = null }: { state: 'done' | 'failed'; error?: string | null },
): Promise<void> {
  const text = `
    UPDATE jobs SET state = $3, error = $4, ended_at = clock_timestamp(), lease_token = NULL, leased_until = NULL
    WHERE ${isOwn}`
  await db.query((queries) => queries.unprepared(text, [id, token, state, error]))
}

/**
 * Gives a job back, to be claimed again after a pause. Without a pause, the process had to stop.
 * @throws ServiceError `unavailable`, `overloaded`
 */
export async function releaseJob(
  { db }: LeaseContext,
  { id, token }: ClaimedJob,
  pauseMs: number,
): Promise<void> {
  const text = `
    UPDATE jobs SET lease_token = NULL, ${pauseMs > 0 ? 'attempts = 0' : attemptsAfterProgress}, leased_until = clock_timestamp() + $3 * interval '1 ms'
    WHERE ${isOwn}`
  await db.query((queries) => queries.unprepared(text, [id, token, pauseMs]))
}
