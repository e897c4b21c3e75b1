// Removes what jobs leave behind: files a day after the end, and the jobs themselves after 90 days.
import type { ServiceContext } from '../context.ts'
import { removeFiles } from './job-file.ts'

// An import that never started keeps its file for a week. An upload takes some hours at most.
const forgotten = `
SELECT f.id FROM job_files f JOIN jobs j ON j.id = f.job_id
WHERE j.ended_at < now() - interval '1 day'
  OR (f.bytes IS NULL AND f.created_at < now() - interval '1 day')
  OR (j.started_at IS NULL AND j.created_at < now() - interval '7 days')
LIMIT 100`

const expired = `
DELETE FROM jobs WHERE id IN (
  SELECT j.id FROM jobs j
  WHERE coalesce(j.ended_at, CASE WHEN j.started_at IS NULL THEN j.created_at END) < now() - interval '90 days'
    AND NOT EXISTS (SELECT FROM job_files f WHERE f.job_id = j.id)
  LIMIT 20 FOR UPDATE SKIP LOCKED
)`

/** For so long after its end a bulk change can be undone: its chunks hold former values of users. */
export const bulkUndoDays = 7

const undoable = `
DELETE FROM job_chunks WHERE (job_id, number) IN (
  SELECT c.job_id, c.number FROM job_chunks c JOIN jobs j ON j.id = c.job_id
  WHERE j.ended_at < now() - interval '${bulkUndoDays} days'
    AND NOT EXISTS (SELECT FROM jobs u WHERE u.undoes = j.id AND u.ended_at IS NULL)
  LIMIT 500
)`

/** Removes some of what is due; the next call removes more. @throws ServiceError `unavailable`, `overloaded` */
export async function cleanUpJobs(ctx: Pick<ServiceContext, 'db' | 'jobFiles' | 'logger'>): Promise<void> {
  const files = await ctx.db.query((queries) => queries.unprepared<{ id: string }>(forgotten, []))
  await removeFiles(
    ctx,
    files.map(({ id }) => id),
  )
  await ctx.db.query((queries) => queries.unprepared(undoable, []))
  await ctx.db.query((queries) => queries.unprepared(expired, []))
}
