// Counts the jobs by what becomes of them, for the console.
import type { ServiceContext } from '../context.ts'

export type JobCounts = { waiting: number; running: number; failedLastDay: number }

// Jobs that wait for their file have not started.
const counts = `
SELECT
  count(*) FILTER (WHERE state = 'waiting' AND started_at IS NOT NULL)::int AS waiting,
  count(*) FILTER (WHERE state = 'running')::int AS running,
  count(*) FILTER (WHERE state = 'failed' AND ended_at > now() - interval '1 day')::int AS "failedLastDay"
FROM jobs`

/** @throws ServiceError `unavailable`, `overloaded` */
export async function countJobs({ db }: Pick<ServiceContext, 'db'>): Promise<JobCounts> {
  const [row] = await db.query((queries) => queries.unprepared<JobCounts>(counts, []))
  return row ?? { waiting: 0, running: 0, failedLastDay: 0 }
}
