// Checks a password for whoever lets people in: the user pool's triggers, the local issuer, and a user who changes
// the own password.
//
// The three kinds of no, an unknown name, a wrong password and a blocked user, are the same in answer, in the
// work that is done for them and in time. A hash of another system costs more or less to check than ours, so
// each no is also held back until it has taken as long as (nearly) the costliest.
//
// Guessing is slow: tries at one name wait for one another, and tries from one source do. That must not lock
// anybody out, so:
// - a wait is bounded, and nothing is refused for having been guessed at: only while more tries are under way than
//   the bucket takes in its longest wait;
// - a name's bucket takes several times as many tries a second as one source may make at that name, so that no single
//   source can fill it;
// - a source from which the user has signed in has only a bucket of its own with that user, which nobody else's tries
//   reach.
// What is left to somebody with very many sources is to make a user who signs in from a new place try again, for as
// long as the flood lasts. The user pool tells no source: there, that holds for the first sign-in of a user.

import { createHash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { and, eq, sql } from 'drizzle-orm'
import type { Bucket } from '../../connection/attempts/attempt-throttle.ts'
import { ServiceError } from '../../model/errors.ts'
import { passwordUnitsMax } from '../../model/password.ts'
import { users } from '../../model/tables.ts'
import { fold } from '../../model/text.ts'
import { canBeUsername, usernameUnitsMax } from '../../model/username.ts'
import type { ServiceContext } from '../context.ts'
import { hashForRenewal, shouldRenew, unknownUsersHash, verifyPassword } from './passwords.ts'

type SignInContext = Pick<ServiceContext, 'db' | 'attempts' | 'logger'>

export type SignedIn = {
  id: string
  username: string
  /** As it was when the password was checked. */
  sessionsValidFrom: Date | null
}

// Cognito waits five seconds for a trigger. The rest is for two queries and a check that has begun.
const waitMsMax = 1_500
const beginMsMax = 3_000
/** Longer than nearly every hash that is taken needs. */
const refusalMsMin = 400

const byName = { burst: 5, pauseMsMin: 50, pauseMsMax: 250 }
const bySource = { burst: 20, pauseMsMin: 50, pauseMsMax: 1_000 }
const byPair = { burst: 5, pauseMsMin: 100, pauseMsMax: 1_000 }

/**
 * @param source what the caller can tell sources apart by, such as an address that was not made up by the client
 * @returns undefined for a no, whatever its reason
 * @throws ServiceError `overloaded` for too many tries at once, `unavailable`
 */
export async function checkPassword(
  connections: SignInContext,
  { username, password, source }: { username: string; password: string; source?: string },
): Promise<SignedIn | undefined> {
  const beginUntil = performance.now() + beginMsMax
  const isPossible = canBeUsername(username) && canBePassword(password)
  const name = digest(fold(username.slice(0, usernameUnitsMax)))
  const share = source === undefined ? `name:${name}` : `source:${digest(source)}`
  const turn = { share, beginUntil }
  const ctx = { ...connections, db: connections.db.of(share) }
  const buckets = await bucketsOf(ctx, name, source)
  await reserve(ctx, buckets)

  const refuseAt = performance.now() + refusalMsMin
  const user = isPossible ? await findUser(ctx, username) : undefined
  const right = await verifyPassword(user?.passwordHash ?? unknownUsersHash, isPossible ? password : '', turn)
  // A block, a rename or a change of password that was answered while this waited counts.
  if (!user || right === undefined || user.status !== 'ACTIVE' || !(await isUnchanged(ctx, user))) {
    await pause(Math.max(0, refuseAt - performance.now()))
    return undefined
  }

  await Promise.all(buckets.map((bucket) => ctx.attempts.succeeded(bucket)))
  if (source !== undefined) await ctx.attempts.remember(pairOf(name, source))
  if (shouldRenew(user.passwordHash, right)) await renew(ctx, user, () => hashForRenewal(password, turn))
  const { id, username: ownName, sessionsValidFrom } = user
  return { id, username: ownName, sessionsValidFrom }
}

/**
 * Checks the present password of somebody who is known already.
 * @param hash as the user's row has it
 * @throws ServiceError `overloaded` for too many tries at once
 */
export async function checkOwnPassword(
  ctx: SignInContext,
  userId: string,
  hash: string,
  password: string,
): Promise<boolean> {
  const beginUntil = performance.now() + beginMsMax
  // Only with the user's own token can anybody get into it.
  const bucket = { name: `own:${userId}`, ...byPair }
  await reserve(ctx, [bucket])
  const right = await verifyPassword(hash, password, { share: bucket.name, beginUntil })
  const isRight = right !== undefined
  if (isRight) await ctx.attempts.succeeded(bucket)
  return isRight
}

async function bucketsOf(
  { attempts }: SignInContext,
  name: string,
  source: string | undefined,
): Promise<Bucket[]> {
  const bucket = { name: `name:${name}`, ...byName }
  if (source === undefined) return [bucket]
  const pair = { name: pairOf(name, source), ...byPair }
  if (await attempts.isRemembered(pair.name)) return [pair]
  return [pair, { name: `source:${digest(source)}`, ...bySource }, bucket]
}

async function reserve({ attempts }: SignInContext, buckets: Bucket[]): Promise<void> {
  let waitMs = 0
  for (const bucket of buckets) {
    const bucketMs = await attempts.reserve(bucket, waitMsMax)
    if (bucketMs === undefined)
      throw new ServiceError('overloaded', 'There are too many tries at this password. Try again shortly.', {
        retryAfterSeconds: 2,
      })
    waitMs = Math.max(waitMs, bucketMs)
  }
  if (waitMs > 0) await pause(waitMs)
}

type FoundUser = Pick<
  typeof users.$inferSelect,
  'id' | 'username' | 'status' | 'passwordHash' | 'sessionsValidFrom'
>

async function findUser({ db }: SignInContext, username: string): Promise<FoundUser | undefined> {
  const { id, status, passwordHash, sessionsValidFrom } = users
  const [user] = await db.query((queries) =>
    queries
      .select({ id, username: users.username, status, passwordHash, sessionsValidFrom })
      .from(users)
      .where(eq(users.usernameFolded, fold(username))),
  )
  return user
}

/** The hash may have been renewed meanwhile; that is no change. */
async function isUnchanged({ db }: SignInContext, user: FoundUser): Promise<boolean> {
  const rows = await db.query((queries) =>
    queries
      .select({ id: users.id })
      .from(users)
      .where(
        and(
          eq(users.id, user.id),
          // The token would be of a name that somebody else may have by then.
          eq(users.username, user.username),
          eq(users.status, 'ACTIVE'),
          sql`${users.sessionsValidFrom} IS NOT DISTINCT FROM ${user.sessionsValidFrom}`,
        ),
      ),
  )
  return rows.length === 1
}

/**
 * Replaces a hash by one of today's, where it is still the one that was checked: a new password wins. The user has
 * not changed by it, so neither the version nor the sessions do. What fails is done at the next sign-in.
 */
async function renew(
  { db, logger }: SignInContext,
  user: FoundUser,
  makeHash: () => Promise<string>,
): Promise<void> {
  try {
    const passwordHash = await makeHash()
    await db.query((queries) =>
      queries
        .update(users)
        .set({ passwordHash })
        .where(and(eq(users.id, user.id), eq(users.passwordHash, user.passwordHash))),
    )
  } catch (error) {
    logger.warn('a password hash could not be renewed', { user_id: user.id, error })
  }
}

/** No system hashes NUL or text that is not well-formed; in some, NUL ends the password. */
function canBePassword(text: string): boolean {
  return text.length <= passwordUnitsMax && !text.includes('\0') && text.isWellFormed()
}

function pairOf(name: string, source: string): string {
  return `pair:${name}:${digest(source)}`
}

/** Names and addresses are no business of whoever reads the counters. */
function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 22)
}
