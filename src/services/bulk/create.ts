// Creates bulk changes and their undoing, which servers then run as jobs.
import type { BulkBody } from '../../model/bulk.ts'
import { ServiceError } from '../../model/errors.ts'
import type { Job } from '../../model/job.ts'
import type { WriteContext } from '../context.ts'
import type { Caller } from '../identity/access.ts'
import { bulkUndoDays } from '../jobs/clean-up.ts'
import { insertJob, insertUndo } from '../jobs/create.ts'
import type { JobRow } from '../jobs/job-row.ts'
import { readJob } from '../jobs/read.ts'
import { collectIds, filterConditions } from './collect-users.ts'

/**
 * Starts a bulk change.
 * @throws ServiceError `invalid` for a filter that the list does not take, `unauthenticated`, `overloaded`, `unavailable`
 */
export async function createBulk(ctx: WriteContext, caller: Caller, body: BulkBody): Promise<Job> {
  const { ids, ...options } = body
  if (!ids) filterConditions(options.filters)
  const job = { kind: 'bulk' as const, format: null, options, isStarted: true }
  const id = await ctx.db.transaction(async (queries) => {
    const id = await insertJob(ctx, caller, { job, queries })
    if (ids) await collectIds(queries, id, ids)
    return id
  })
  ctx.logger.info('bulk change requested', { job: id, action: options.action })
  return readJob(ctx, { id })
}

/**
 * Starts restoring the users that a bulk change changed and that were not changed since.
 * @throws ServiceError `not_found`, `conflict`, `unauthenticated`, `overloaded`, `unavailable`
 */
export function createBulkUndo(ctx: WriteContext, caller: Caller, id: string): Promise<Job> {
  return insertUndo(ctx, caller, { of: { id, kinds: ['bulk'] }, kind: 'bulk_undo', check: checkUndoable })
}

function checkUndoable({ endedAt, options }: JobRow): void {
  if (endedAt === null)
    throw new ServiceError('conflict', 'The bulk change has not ended. Cancel it first: DELETE /bulk/{id}.')
  if ((options as BulkBody).action === 'erase')
    throw new ServiceError('conflict', 'Erased users cannot be restored.')
  if (Date.now() - endedAt.getTime() > bulkUndoDays * 86_400_000)
    throw new ServiceError('conflict', `A bulk change can be undone for ${bulkUndoDays} days after its end.`)
}
