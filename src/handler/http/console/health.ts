// The state of the service for the console: its dependencies, its work in the background, and this process.
import { processes } from '../../../platform/worker-place.ts'
import { countJobs } from '../../../services/jobs/count.ts'
import { readLastRun } from '../../../services/revalidation/last-run.ts'
import { readiness } from '../readiness.ts'
import type { ConsoleContext } from './context.ts'

const startedAt = new Date(performance.timeOrigin).toISOString()

/** Never rejects: a part that cannot be read is null. */
export async function readHealth({ connections, callers, counts }: ConsoleContext): Promise<object> {
  const [ready, jobs, revalidation] = await Promise.all([
    readiness(connections),
    countJobs(connections).catch(() => null),
    readLastRun(connections).catch(() => null),
  ])
  return {
    ready,
    jobs: jobs && { waiting: jobs.waiting, running: jobs.running, failed_last_day: jobs.failedLastDay },
    revalidation: revalidation
      ? { ...revalidation, finishedAt: undefined, finished_at: revalidation.finishedAt.toISOString() }
      : null,
    process: {
      started_at: startedAt,
      workers: processes,
      sessions_ended: callers.ends.count(),
      minutes: counts.lastHour().map(({ startMs, p95Ms, ...minute }) => ({
        at: new Date(startMs).toISOString(),
        ...minute,
        p95_ms: p95Ms === null ? null : Math.round(p95Ms * 100) / 100,
      })),
    },
  }
}
