// Stores how far the revalidation has come, so that the next run continues there.
import { eq, sql } from 'drizzle-orm'
import { jobCheckpoints } from '../../model/tables.ts'
import type { ServiceContext } from '../context.ts'

export type Counts = {
  /** Entries that were compared. */
  scanned: number
  /** Entries that match the database. */
  fresh: number
  /** Entries removed because they differ from the database; the next read loads them again. */
  repaired: number
  /** Entries removed because their user was erased. */
  dropped: number
  /** Avatars removed because no user has them. */
  orphans: number
}

export type Progress = Counts & {
  phase: 'entries' | 'avatars'
  /** The position in the phase; undefined at its start. */
  next: string | undefined
}

export const start: Progress = {
  phase: 'entries',
  next: undefined,
  scanned: 0,
  fresh: 0,
  repaired: 0,
  dropped: 0,
  orphans: 0,
}

const job = 'revalidation'

/** @returns undefined if the last run has finished */
export async function loadCheckpoint({ db }: ServiceContext): Promise<Progress | undefined> {
  const [row] = await db.query((queries) =>
    queries.select({ state: jobCheckpoints.state }).from(jobCheckpoints).where(eq(jobCheckpoints.job, job)),
  )
  return row?.state as Progress | undefined
}

export async function saveCheckpoint({ db }: ServiceContext, state: Progress): Promise<void> {
  await db.query((queries) =>
    queries
      .insert(jobCheckpoints)
      .values({ job, state })
      .onConflictDoUpdate({ target: jobCheckpoints.job, set: { state, updatedAt: sql`clock_timestamp()` } }),
  )
}

export async function clearCheckpoint({ db }: ServiceContext): Promise<void> {
  await db.query((queries) => queries.delete(jobCheckpoints).where(eq(jobCheckpoints.job, job)))
}
