// Starts and cancels a job.
import { ServiceError } from '../../model/errors.ts'
import type { Job } from '../../model/job.ts'
import type { WriteContext } from '../context.ts'
import type { Caller } from '../identity/access.ts'
import { acceptUploads, findUploads } from './direct-file.ts'
import { removeResult } from './job-file.ts'
import { lockJob, readJob, type WantedJob } from './read.ts'

/**
 * Releases an import to be run. Starting it again changes nothing, so that a request without an answer may be repeated.
 * @throws ServiceError `not_found`, `conflict` without a file or after the end, `unauthenticated`, `unavailable`
 */
export async function startJob(ctx: WriteContext, caller: Caller, wanted: WantedJob): Promise<Job> {
  const uploads = await findUploads(ctx, wanted.id)
  await ctx.db.transaction(async (queries) => {
    const job = await lockJob(queries, wanted)
    await ctx.callers.confirm(queries, caller)
    if (job.endedAt !== null) throw new ServiceError('conflict', `The job is ${job.state}. Create a new one.`)
    if (job.startedAt !== null) return
    await acceptUploads(queries, uploads)
    if (job.bytesTotal === null && (await lockJob(queries, wanted)).bytesTotal === null)
      throw new ServiceError(
        'conflict',
        'The file is missing or empty. Send it first, to the address in `upload`.',
      )
    await queries.unprepared('UPDATE jobs SET started_at = clock_timestamp() WHERE id = $1', [wanted.id])
  })
  return readJob(ctx, wanted)
}

/**
 * Cancels a job. The process that runs it stops before its next commit; what is committed stays, except the file of an
 * export. A job that has ended stays as it is.
 * @throws ServiceError `not_found`, `unauthenticated`, `unavailable`
 */
export async function cancelJob(ctx: WriteContext, caller: Caller, wanted: WantedJob): Promise<Job> {
  await ctx.db.transaction(async (queries) => {
    const job = await lockJob(queries, wanted)
    await ctx.callers.confirm(queries, caller)
    if (job.endedAt === null)
      await queries.unprepared(
        `UPDATE jobs SET state = 'cancelled', ended_at = clock_timestamp(), lease_token = NULL WHERE id = $1`,
        [wanted.id],
      )
  })
  const job = await readJob(ctx, wanted)
  // A process that still writes the file removes it once more when it stops.
  if (job.kind === 'export' && job.state === 'cancelled') await removeResult(ctx, job.id)
  return readJob(ctx, wanted)
}
