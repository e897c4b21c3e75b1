// Applies the outbox's tasks to the users of the user pool: passwords, status, groups and removals.
import { eq, sql } from 'drizzle-orm'
import type { UserPool } from '../../connection/cognito/user-pool.ts'
import { poolGroups, users } from '../../model/tables.ts'
import { fairQueue } from '../../platform/queue.ts'
import { waitForNewSession } from '../identity/session-start.ts'
import {
  claimedMax,
  claimUntried,
  type Failure,
  leaseMs,
  logFailures,
  type OutboxContext,
  type OutboxRow,
  settle,
} from '../outbox/queue.ts'

type PoolSync = {
  ctx: OutboxContext
  pool: UserPool
  signal: AbortSignal
  /** The new password, where this process has it in memory. */
  password?: string
}

// A task takes at most half of the lease, and none starts later than this.
const startMsMax = leaseMs / 3
const poolCallsMax = 5
const setPasswordMsMax = 2_000

/**
 * Sets a new password in the pool while this process has it in memory, and waits until a new session can start.
 * If it fails, the outbox removes the pool's user instead, and the next sign-in migrates the user again.
 * @param task.outboxId the row that records the change
 */
export async function setPasswordNow(
  ctx: OutboxContext,
  { outboxId, username, password }: { outboxId: number; username: string; password: string },
): Promise<void> {
  try {
    const { pool } = ctx.outbox
    if (!pool) return
    const rows = await claimUntried(ctx, outboxId)
    const signal = AbortSignal.timeout(setPasswordMsMax)
    await syncPool({ ctx, pool, signal, password }, rows)
    await waitForNewSession(ctx, username)
  } catch (error) {
    ctx.logger.warn('a new password could not be set in the user pool', { error })
  }
}

/**
 * Performs the tasks of claimed rows and settles them.
 * @returns the number of rows that succeeded
 * @throws ServiceError `unavailable`, `overloaded`
 */
export async function syncPool(sync: PoolSync, rows: OutboxRow[]): Promise<number> {
  const { ctx } = sync
  const queue = fairQueue(poolCallsMax, { waiting: claimedMax })
  const startUntil = performance.now() + startMsMax
  const failures: Failure[] = []
  const perform = async (row: OutboxRow): Promise<void> => {
    try {
      if (performance.now() > startUntil) throw new Error('the user pool is too slow')
      await performTask(sync, row)
    } catch (error) {
      failures.push({ row, error })
      await settle(ctx, 'pool', [{ row, isDone: false }])
    }
  }
  await Promise.all(rows.map((row) => queue('all', () => perform(row))))
  logFailures(ctx, 'user pool', failures)
  return rows.length - failures.length
}

/** Performs one task and settles it at once, because sign-ins of this name may be rejected until then. */
async function performTask(sync: PoolSync, row: OutboxRow): Promise<void> {
  const { ctx, pool, signal, password } = sync
  const { poolTask, poolUsername: username, userId } = row
  if (poolTask === null || username === null) throw new Error('the row has no task for the pool')
  const [user] = await ctx.db.query((queries) =>
    queries.select({ status: users.status }).from(users).where(eq(users.id, userId)),
  )
  const remove = async (): Promise<void> => {
    if (user) await saveGroups(sync, userId, username)
    await pool.remove(username, signal)
  }
  const isSet = poolTask === 'password' && password !== undefined
  if (poolTask === 'groups') {
    if (user) await restoreGroups(sync, userId, username)
  } else if (poolTask === 'status' || isSet) {
    if (isSet) await pool.setPassword(username, password, signal)
    // Uses the current status. If the user was erased, a later row removes it from the pool.
    if (user) await (user.status === 'BLOCKED' ? pool.disable : pool.enable)(username, signal)
  } else {
    await remove()
  }
  const isClaimed = await settle(ctx, 'pool', [{ row, isDone: true }])
  // This process was paused for longer than its lease, so the password may no longer be the latest.
  if (!isClaimed && isSet) await remove()
}

/** Saves the groups of a user before the removal. Tasks of one user never run concurrently. */
async function saveGroups({ ctx, pool, signal }: PoolSync, userId: string, username: string): Promise<void> {
  const groups = await pool.groupsOf(username, signal)
  if (groups.length === 0) return
  await ctx.db.query((queries) =>
    queries
      .insert(poolGroups)
      .values({ userId, groups })
      .onConflictDoUpdate({
        target: poolGroups.userId,
        set: {
          groups: sql`ARRAY(SELECT DISTINCT unnest(${poolGroups.groups} || excluded.groups) ORDER BY 1)`,
        },
      }),
  )
}

/** Restores saved groups. If the user was removed again in the meantime, the next sign-in requests this again. */
async function restoreGroups(
  { ctx, pool, signal }: PoolSync,
  userId: string,
  username: string,
): Promise<void> {
  const [saved] = await ctx.db.query((queries) =>
    queries.select().from(poolGroups).where(eq(poolGroups.userId, userId)),
  )
  if (!saved || !(await pool.addToGroups(username, saved.groups, signal))) return
  await ctx.db.query((queries) => queries.delete(poolGroups).where(eq(poolGroups.userId, userId)))
}
