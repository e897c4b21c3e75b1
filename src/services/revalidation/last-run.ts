// Remembers the last finished revalidation, for the console.
import { eq, sql } from 'drizzle-orm'
import { jobCheckpoints } from '../../model/tables.ts'
import type { ServiceContext } from '../context.ts'
import type { Counts } from './checkpoint.ts'

const job = 'last-revalidation'

export type LastRun = Counts & { finishedAt: Date }

/** @param counts of this run and those that it continued */
export async function saveLastRun({ db }: Pick<ServiceContext, 'db'>, state: Counts): Promise<void> {
  await db.query((queries) =>
    queries
      .insert(jobCheckpoints)
      .values({ job, state })
      .onConflictDoUpdate({ target: jobCheckpoints.job, set: { state, updatedAt: sql`clock_timestamp()` } }),
  )
}

/** @returns undefined before the first run has finished @throws ServiceError `unavailable`, `overloaded` */
export async function readLastRun({ db }: Pick<ServiceContext, 'db'>): Promise<LastRun | undefined> {
  const [row] = await db.query((queries) =>
    queries
      .select({ state: jobCheckpoints.state, finishedAt: jobCheckpoints.updatedAt })
      .from(jobCheckpoints)
      .where(eq(jobCheckpoints.job, job)),
  )
  return row && { ...(row.state as Counts), finishedAt: row.finishedAt }
}
