// Answers the triggers of the user pool: migrates users at their first sign-in, and decides whether a token is issued.
import { setTimeout as pause } from 'node:timers/promises'
import { and, eq } from 'drizzle-orm'
import { outbox, pendingUserMigrations } from '../../model/tables.ts'
import { fold, isSamePoolUsername } from '../../model/text.ts'
import { canBeUsername } from '../../model/username.ts'
import type { ServiceContext } from '../context.ts'
import { checkPassword } from '../identity/check-password.ts'
import { sessionWaitMs, waitForNewSession } from '../identity/session-start.ts'
import { recordPoolTask } from '../outbox/record.ts'
import { usernameHash } from '../users/released-usernames.ts'

/**
 * Checks the password of a user whom the pool does not have.
 * @param typed the username as the user typed it
 * @returns the username for the pool; undefined if the sign-in is refused, for whichever reason
 * @throws ServiceError as `checkPassword`
 */
export async function migrateUser(
  ctx: ServiceContext,
  typed: string,
  password: string,
): Promise<string | undefined> {
  const user = await checkPassword(ctx, { username: typed, password })
  // The pool would make two users of names that it distinguishes and the directory does not, such as ß and ss.
  if (!user || !isSamePoolUsername(user.username, typed)) return undefined
  const pendingMigration = {
    usernameSha256: usernameHash(fold(user.username)),
    userId: user.id,
    sessionsValidFrom: user.sessionsValidFrom,
  }
  // An earlier one is kept: of two concurrent migrations, the pool may accept either.
  await ctx.db.query((queries) =>
    queries.insert(pendingUserMigrations).values(pendingMigration).onConflictDoNothing(),
  )
  // Cognito does not document whether it dates a token before or after its last trigger, so both wait.
  await waitForNewSession(ctx, user.username)
  return user.username
}

/**
 * Decides whether the pool may issue a token for a user.
 * @returns the groups to add to those that the pool has; undefined if the token is refused
 * @throws ServiceError `unavailable`, `overloaded`
 */
export async function admitUser(
  ctx: ServiceContext,
  poolUsername: string,
): Promise<{ groups: string[] } | undefined> {
  const state = await readState(ctx, poolUsername)
  if (!state) return undefined
  const { pendingMigration, status, username, groups } = state
  if (pendingMigration && !(await verifyPendingMigration(ctx, poolUsername, pendingMigration)))
    return undefined
  if (status !== 'ACTIVE' || !isSamePoolUsername(username ?? '', poolUsername)) return undefined
  // Until the task is done, the pool accepts the former password.
  if (state.hasPendingTask) return undefined
  if (groups && state.id !== null) await requestGroups(ctx, poolUsername, state.id)
  await pause(state.waitMs)
  return { groups: groups ?? [] }
}

type State = {
  /** The user who has the name; null if there is none. */
  id: string | null
  username: string | null
  status: string | null
  /** A migration under this name after which no token was issued yet. */
  pendingMigration: PendingMigration | null
  /** The outbox has yet to change the password of this name in the pool, or to remove the name. */
  hasPendingTask: boolean
  /** Groups that the pool lost when it removed the user. */
  groups: string[] | null
  /** Milliseconds until a new session can start: see `sessionWaitMs`. */
  waitMs: number
}

type PendingMigration = {
  userId: string
  /** Since the check the password has not changed, and the name still belongs to the same user. */
  isCurrent: boolean
}

const stateText = `
SELECT u.id, u.username, u.status, g.groups,
  EXISTS (
    SELECT 1 FROM outbox o
    WHERE o.pool_username_folded = $1 AND o.pool_pending AND o.pool_task IN ('password', 'remove')
  ) AS "hasPendingTask",
  CASE WHEN m.user_id IS NOT NULL THEN json_build_object(
    'userId', m.user_id,
    'isCurrent', u.id IS NOT DISTINCT FROM m.user_id
      AND u.sessions_valid_from IS NOT DISTINCT FROM m.sessions_valid_from
  ) END AS "pendingMigration",
  ${sessionWaitMs} AS "waitMs"
FROM (VALUES (sha256(convert_to($1::text, 'UTF8')))) AS name(hash)
  LEFT JOIN users u ON u.username_folded = $1
  LEFT JOIN pool_groups g ON g.user_id = u.id
  LEFT JOIN released_usernames f ON f.username_sha256 = name.hash
  LEFT JOIN pending_user_migrations m ON m.username_sha256 = name.hash`

async function readState({ db }: ServiceContext, username: string): Promise<State | undefined> {
  if (!canBeUsername(username)) return undefined
  const [state] = await db.query((queries) =>
    queries.prepared<State>('pool-user-state', stateText, [fold(username)]),
  )
  return state
}

/**
 * Verifies that the pool has migrated the right user. Between the password check and the creation in the pool, the
 * password may have changed or the name been released. Such a user is removed, and migrated at the next sign-in.
 * @returns whether the migration is still current
 */
async function verifyPendingMigration(
  { db, outbox }: ServiceContext,
  poolUsername: string,
  { userId, isCurrent }: PendingMigration,
): Promise<boolean> {
  await db.transaction(async (queries) => {
    await queries
      .delete(pendingUserMigrations)
      .where(eq(pendingUserMigrations.usernameSha256, usernameHash(fold(poolUsername))))
    if (!isCurrent && outbox.pool)
      await recordPoolTask(queries, { task: 'remove', userId, username: poolUsername })
  })
  return isCurrent
}

/** Requests that the groups of a user are restored in the pool. Until then, `admitUser` adds them to each token. */
async function requestGroups(
  { db, outbox: { pool } }: ServiceContext,
  poolUsername: string,
  userId: string,
): Promise<void> {
  if (!pool) return
  await db.query(async (queries) => {
    const requested = await queries
      .select({ id: outbox.id })
      .from(outbox)
      .where(and(eq(outbox.userId, userId), eq(outbox.poolTask, 'groups'), eq(outbox.poolPending, true)))
      .limit(1)
    if (requested.length === 0)
      await recordPoolTask(queries, { task: 'groups', userId, username: poolUsername })
  })
}
