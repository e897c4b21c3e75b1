// Runs jobs, one at a time in each lane: claims the next one, keeps its lease, and ends it.
import { setTimeout as pause } from 'node:timers/promises'
import { ServiceError } from '../../model/errors.ts'
import { type JobKind, type JobLane, jobLanes } from '../../model/job-states.ts'
import { metricFields } from '../../platform/metrics.ts'
import type { ServiceContext } from '../context.ts'
import { cleanUpJobs } from './clean-up.ts'
import type { JobRun } from './job-run.ts'
import {
  type ClaimedJob,
  claimJob,
  endJob,
  LeaseLost,
  releaseJob,
  renewEveryMs,
  renewLease,
} from './lease.ts'

type Work = (run: JobRun) => Promise<void>

// Loaded when needed, because a server may never run a job.
const works: Record<JobKind, () => Promise<Work>> = {
  import: async () => (await import('../import/run-import.ts')).runImport,
  export: async () => (await import('../export/run-export.ts')).runExport,
  bulk: async () => (await import('../bulk/run-bulk.ts')).runBulk,
  bulk_undo: async () => (await import('../bulk/run-bulk.ts')).runBulkUndo,
  undo: async () => (await import('../import/run-undo.ts')).runUndo,
}

const pollMs = 1_000
const cleanUpEveryMs = 600_000
/** The pause before a job goes on that met an outage of a dependency. */
const retryMs = 10_000

/** Runs jobs until `signal` aborts. Never throws. */
export async function runJobs(ctx: ServiceContext, signal: AbortSignal): Promise<void> {
  await Promise.all(jobLanes.map((lane) => runLane(ctx, signal, lane)))
}

async function runLane(ctx: ServiceContext, signal: AbortSignal, lane: JobLane): Promise<void> {
  let isReadable = true
  let cleanUpAt = 0
  while (!signal.aborted) {
    try {
      while (!signal.aborted && (await runNextJob(ctx, signal, [lane])));
      if (lane === jobLanes[0] && !signal.aborted && performance.now() >= cleanUpAt) {
        cleanUpAt = performance.now() + cleanUpEveryMs
        await cleanUpJobs(ctx)
      }
      isReadable = true
    } catch (error) {
      if (isReadable) ctx.logger.warn('the jobs cannot be read', { error })
      isReadable = false
    }
    await pause(pollMs, undefined, { signal }).catch(() => {})
  }
}

/**
 * Runs jobs until none is left or `signal` aborts, and removes what is due.
 * @throws ServiceError `unavailable`, `overloaded`
 */
export async function drainJobs(ctx: ServiceContext, signal: AbortSignal): Promise<void> {
  await Promise.all(
    jobLanes.map(async (lane) => {
      while (!signal.aborted && (await runNextJob(ctx, signal, [lane])));
    }),
  )
  if (!signal.aborted) await cleanUpJobs(ctx)
}

/**
 * Runs one job until it ends, is cancelled, meets an outage or must stop.
 * @param lanes to take it from, in this order
 * @returns false if there was none to run
 * @throws ServiceError `unavailable`, `overloaded` if the jobs cannot be read
 */
export async function runNextJob(
  ctx: ServiceContext,
  signal: AbortSignal,
  lanes: readonly JobLane[] = jobLanes,
): Promise<boolean> {
  let job: ClaimedJob | undefined
  for (const lane of lanes) job ??= await claimJob(ctx, lane)
  if (!job) return false
  const { logger } = ctx
  const about = { job: job.id, kind: job.kind }
  logger.info('job started', { ...about, rows: job.rowsRead })
  const lost = new AbortController()
  const lease = setInterval(() => void keepLease(ctx, job, lost), renewEveryMs)
  try {
    const work = await works[job.kind]()
    const stop = AbortSignal.any([signal, lost.signal])
    await ctx.db.ownSession((session) => work({ ctx, job, session, signal: stop }))
    await endJob(ctx, job, { state: 'done' })
    logger.info('job done', about)
  } catch (error) {
    await settle(ctx, job, { error, isStopping: signal.aborted, isLost: lost.signal.aborted })
  } finally {
    clearInterval(lease)
  }
  return true
}

async function keepLease(ctx: ServiceContext, job: ClaimedJob, lost: AbortController): Promise<void> {
  try {
    if (!(await renewLease(ctx, job))) lost.abort(new LeaseLost('the job was cancelled or taken over'))
  } catch (error) {
    // The next attempt may succeed; if the lease runs out meanwhile, the token protects the job.
    ctx.logger.warn('the lease of a job could not be renewed', { job: job.id, error })
  }
}

async function settle(
  ctx: ServiceContext,
  job: ClaimedJob,
  { error, isStopping, isLost }: { error: unknown; isStopping: boolean; isLost: boolean },
): Promise<void> {
  const { logger } = ctx
  const about = { job: job.id, kind: job.kind }
  if (error instanceof LeaseLost || isLost) return logger.info('job stopped', about)
  if (isStopping) {
    await releaseJob(ctx, job, 0)
    return logger.info('job given back', about)
  }
  const { code, message } = error instanceof ServiceError ? error : { code: undefined, message: '' }
  if (code === 'unavailable' || code === 'overloaded') {
    logger.warn('job paused by an outage', { ...about, error })
    await releaseJob(ctx, job, retryMs)
    return
  }
  if (code === undefined)
    logger.error('job failed', { ...about, error, ...metricFields('jobs', { JobsFailed: 1 }) })
  else logger.info('job failed', { ...about, reason: message })
  await endJob(ctx, job, {
    state: 'failed',
    error: message || 'An internal error ended the job. See the log.',
  })
}
