// What the user pool asks before it lets somebody in: whether a password is right when it does not know the user
// yet, and whether a token may be made.

import { setTimeout as pause } from 'node:timers/promises'
import { pendingUserMigrations } from '../../model/tables.ts'
import { fold, isSamePoolUsername } from '../../model/text.ts'
import { canBeUsername } from '../../model/username.ts'
import type { ServiceContext } from '../context.ts'
import { usernameHash } from '../identity/callers.ts'
import { checkPassword } from '../identity/sign-in.ts'

// The clocks of the database, of this process and of the pool do not quite agree.
const skewMs = 50

/**
 * Checks the password of somebody whom the pool does not know.
 * @param typed the username as it was typed
 * @returns what the pool shall call the user; undefined for a no, whatever its reason
 * @throws ServiceError as `checkPassword`
 */
export async function migrateUser(
  ctx: ServiceContext,
  typed: string,
  password: string,
): Promise<string | undefined> {
  const user = await checkPassword(ctx, { username: typed, password })
  // Names that are the same to us and not to the pool, as ß and ss are, would be two users there.
  if (!user || !isSamePoolUsername(user.username, typed)) return undefined
  // One that is there already stays: where two come at once, the pool may take in either.
  const arrival = {
    usernameSha256: usernameHash(fold(user.username)),
    userId: user.id,
    sessionsValidFrom: user.sessionsValidFrom,
  }
  await ctx.db.query((queries) => queries.insert(pendingUserMigrations).values(arrival).onConflictDoNothing())
  // Here too: whether the pool takes a token's time before or after its last trigger is not documented.
  await pause(await sessionWaitMs(ctx, user.username))
  return user.username
}

/**
 * Decides whether a token may be made for a user of the pool.
 * @returns the groups to add to those that the pool knows of; undefined for a no
 * @throws ServiceError `unavailable`, `overloaded`
 */
export async function admitUser(
  ctx: ServiceContext,
  poolUsername: string,
): Promise<{ groups: string[] } | undefined> {
  const state = await readState(ctx, poolUsername)
  if (state?.arrival && !(await welcome(ctx, poolUsername, state.arrival))) return undefined
  if (state?.status !== 'ACTIVE' || !isSamePoolUsername(state.username ?? '', poolUsername)) return undefined
  // Until the pool is told, a password that is no longer the right one would do there.
  if (state.isPending) return undefined
  if (state.groups) await askForGroups(ctx, poolUsername, state)
  await pause(state.waitMs)
  return { groups: state.groups ?? [] }
}

/**
 * For how long a token must wait so that it does not seem to be from before the last block or change of password.
 * @throws ServiceError `unavailable`, `overloaded`
 */
export async function sessionWaitMs(ctx: ServiceContext, username: string): Promise<number> {
  return (await readState(ctx, username))?.waitMs ?? 0
}

type State = {
  /** Of the user who has the name; null when nobody has. */
  id: string | null
  username: string | null
  status: string | null
  /** Who came into the pool under this name, and has had no token since. */
  arrival: Arrival | null
  /** The pool has not been told yet that this name's password was changed, or that the name was given up. */
  isPending: boolean
  groups: string[] | null
  /**
   * Until the second is over in which sessions were ended last, or the name was given up by another: tokens tell
   * their age in whole seconds.
   */
  waitMs: number
}

type Arrival = {
  userId: string
  /** The password that the pool was given is still the right one, and the name still the same user's. */
  isRight: boolean
}

const stateText = `
SELECT u.id, u.username, u.status, g.groups,
  EXISTS (
    SELECT 1 FROM outbox o
    WHERE o.pool_username_folded = $1 AND o.pool_pending AND o.pool_task IN ('password', 'remove')
  ) AS "isPending",
  CASE WHEN a.user_id IS NOT NULL THEN json_build_object(
    'userId', a.user_id,
    'isRight', u.id IS NOT DISTINCT FROM a.user_id
      AND u.sessions_valid_from IS NOT DISTINCT FROM a.sessions_valid_from
  ) END AS arrival,
  coalesce(greatest(0, ${skewMs} + 1000 * extract(
    epoch FROM date_trunc('second', greatest(u.sessions_valid_from, f.released_at)) + interval '1 s' - clock_timestamp()
  )), 0)::float8 AS "waitMs"
FROM (VALUES (sha256(convert_to($1::text, 'UTF8')))) AS name(hash)
  LEFT JOIN users u ON u.username_folded = $1
  LEFT JOIN pool_groups g ON g.user_id = u.id
  LEFT JOIN released_usernames f ON f.username_sha256 = name.hash
  LEFT JOIN pending_user_migrations a ON a.username_sha256 = name.hash`

async function readState({ db }: ServiceContext, username: string): Promise<State | undefined> {
  if (!canBeUsername(username)) return undefined
  const [state] = await db.query((queries) =>
    queries.prepared<State>('pool-user-state', stateText, [fold(username)]),
  )
  return state
}

/**
 * Sees to it that who has come into the pool is who was meant to. Between the directory's yes and the pool's making
 * the user, the password may have been changed, or the name given up: the pool was told when it had nobody to change.
 * Such a user is taken out again, and comes back with the next sign-in.
 * @returns whether all is right
 */
async function welcome(
  { db, outbox }: ServiceContext,
  poolUsername: string,
  { userId, isRight }: Arrival,
): Promise<boolean> {
  const folded = fold(poolUsername)
  const gone = 'DELETE FROM pending_user_migrations WHERE username_sha256 = $1'
  if (isRight || !outbox.pool) {
    await db.query((queries) => queries.prepared('pool-arrived', gone, [usernameHash(folded)]))
    return isRight
  }
  const text = `
    WITH gone AS (${gone})
    INSERT INTO outbox
      (event_id, user_id, type, data, pool_task, pool_username, pool_username_folded, pool_pending, bus_pending)
    VALUES (gen_random_uuid(), $2, 'user.updated', '{}', 'remove', $3, $4, true, false)`
  const values = [usernameHash(folded), userId, poolUsername, folded]
  await db.query((queries) => queries.prepared('pool-arrived-late', text, values))
  return false
}

/**
 * Asks for the groups of a user who has come back to the pool to be put back there. Until that is done tokens hold
 * them all the same.
 */
async function askForGroups(
  { db, outbox }: ServiceContext,
  poolUsername: string,
  { id }: State,
): Promise<void> {
  if (!outbox.pool) return
  const text = `
    INSERT INTO outbox
      (event_id, user_id, type, data, pool_task, pool_username, pool_username_folded, pool_pending, bus_pending)
    SELECT gen_random_uuid(), $1, 'user.updated', '{}', 'groups', $2, $3, true, false
    WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE user_id = $1 AND pool_task = 'groups' AND pool_pending)`
  await db.query((queries) =>
    queries.prepared('pool-groups-ask', text, [id, poolUsername, fold(poolUsername)]),
  )
}
