// Checks a password for the user pool's triggers, the local issuer, and users who change their own password.
// Attempts are throttled by name and source without locking anyone out: docs/adr/0020-throttle-password-attempts.md.
// An unknown name, a wrong or missing password and a blocked user get the same answer after the same work and time.
import { createHash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { and, eq, sql } from 'drizzle-orm'
import type { Bucket } from '../../connection/attempts/attempt-throttle.ts'
import { ServiceError } from '../../model/errors.ts'
import { passwordUnitsMax } from '../../model/password.ts'
import { users } from '../../model/tables.ts'
import { fold, textFault } from '../../model/text.ts'
import { canBeUsername, usernameUnitsMax } from '../../model/username.ts'
import type { ServiceContext } from '../context.ts'
import { hashForRenewal, shouldRenew, verifyPassword } from './passwords.ts'

type CheckContext = Pick<ServiceContext, 'db' | 'attempts' | 'logger'>

export type SignedIn = {
  id: string
  username: string
  /** The value at the time of the check. */
  sessionsValidFrom: Date | null
}

// Cognito waits five seconds for a trigger. The rest is for two queries and a check that has started.
const waitMsMax = 1_500
const startMsMax = 3_000
/** Nearly every accepted hash takes less, so a refusal does not show which kind of hash was checked. */
const refusalMsMin = 400

const byName = { burst: 5, pauseMsMin: 50, pauseMsMax: 250 }
const bySource = { burst: 20, pauseMsMin: 50, pauseMsMax: 1_000 }
const byPair = { burst: 5, pauseMsMin: 100, pauseMsMax: 1_000 }

/**
 * @param credentials.source distinguishes clients, such as an address that the client cannot choose
 * @returns undefined if the sign-in is refused, for whichever reason
 * @throws ServiceError `overloaded` for too many concurrent attempts, `unavailable`
 */
export async function checkPassword(
  connections: CheckContext,
  { username, password, source }: { username: string; password: string; source?: string },
): Promise<SignedIn | undefined> {
  const startUntil = performance.now() + startMsMax
  const isPossible = canBeUsername(username) && canBePassword(password)
  const name = digest(fold(username.slice(0, usernameUnitsMax)))
  const share = source === undefined ? `name:${name}` : `source:${digest(source)}`
  const turn = { share, startUntil }
  const ctx = { ...connections, db: connections.db.of(share) }
  const buckets = await bucketsOf(ctx, name, source)
  await reserve(ctx, buckets)

  const refuseAt = performance.now() + refusalMsMin
  const user = isPossible ? await findUser(ctx, username) : undefined
  const hash = user?.passwordHash ?? null
  const matched = await verifyPassword(hash, isPossible ? password : '', turn)
  // A block, a rename or a new password that was answered during the check takes effect.
  const isRight = hash !== null && matched !== undefined
  if (!user || !isRight || user.status !== 'ACTIVE' || !(await isSignInCurrent(ctx, user))) {
    await pause(Math.max(0, refuseAt - performance.now()))
    return undefined
  }

  await Promise.all(buckets.map((bucket) => ctx.attempts.succeeded(bucket)))
  if (source !== undefined) await ctx.attempts.remember(pairOf(name, source))
  if (shouldRenew(hash, matched))
    await renewHash(ctx, { id: user.id, hash }, () => hashForRenewal(password, turn))
  const { id, username: ownName, sessionsValidFrom } = user
  return { id, username: ownName, sessionsValidFrom }
}

/**
 * Checks the current password of a user who has a valid token.
 * @param user.hash as the user's row has it
 * @throws ServiceError `overloaded` for too many concurrent attempts
 */
export async function checkOwnPassword(
  ctx: CheckContext,
  { userId, hash, password }: { userId: string; hash: string | null; password: string },
): Promise<boolean> {
  const startUntil = performance.now() + startMsMax
  // Only the user's own tokens lead to this bucket.
  const bucket = { name: `own:${userId}`, ...byPair }
  await reserve(ctx, [bucket])
  const matched = await verifyPassword(hash, password, { share: bucket.name, startUntil })
  const isRight = matched !== undefined
  if (isRight) await ctx.attempts.succeeded(bucket)
  return isRight
}

async function bucketsOf(
  { attempts }: CheckContext,
  name: string,
  source: string | undefined,
): Promise<Bucket[]> {
  const nameBucket = { name: `name:${name}`, ...byName }
  if (source === undefined) return [nameBucket]
  const pairBucket = { name: pairOf(name, source), ...byPair }
  if (await attempts.isRemembered(pairBucket.name)) return [pairBucket]
  return [pairBucket, { name: `source:${digest(source)}`, ...bySource }, nameBucket]
}

/** Counts an attempt in all buckets, and waits for the slowest. */
async function reserve({ attempts }: CheckContext, buckets: Bucket[]): Promise<void> {
  let waitMs = 0
  for (const bucket of buckets) {
    const bucketMs = await attempts.reserve(bucket, waitMsMax)
    if (bucketMs === undefined)
      throw new ServiceError(
        'overloaded',
        'There are too many attempts at this password. Try again shortly.',
        {
          retryAfterSeconds: 2,
        },
      )
    waitMs = Math.max(waitMs, bucketMs)
  }
  if (waitMs > 0) await pause(waitMs)
}

type FoundUser = Pick<
  typeof users.$inferSelect,
  'id' | 'username' | 'status' | 'passwordHash' | 'sessionsValidFrom'
>

async function findUser({ db }: CheckContext, username: string): Promise<FoundUser | undefined> {
  const { id, status, passwordHash, sessionsValidFrom } = users
  const [user] = await db.query((queries) =>
    queries
      .select({ id, username: users.username, status, passwordHash, sessionsValidFrom })
      .from(users)
      .where(eq(users.usernameFolded, fold(username))),
  )
  return user
}

/**
 * @returns whether the user is still active, with the same username and password. A hash that was renewed in the
 *   meantime does not count as a change.
 */
export async function isSignInCurrent(
  { db }: Pick<CheckContext, 'db'>,
  signedIn: SignedIn,
): Promise<boolean> {
  const rows = await db.query((queries) =>
    queries
      .select({ id: users.id })
      .from(users)
      .where(
        and(
          eq(users.id, signedIn.id),
          // After a rename, the token would carry a name that another user may have.
          eq(users.username, signedIn.username),
          eq(users.status, 'ACTIVE'),
          sql`${users.sessionsValidFrom} IS NOT DISTINCT FROM ${signedIn.sessionsValidFrom}`,
        ),
      ),
  )
  return rows.length === 1
}

/**
 * Replaces an outdated hash, unless the password was changed in the meantime. The version and the sessions stay,
 * because the user has not changed. If it fails, the next sign-in renews the hash.
 */
async function renewHash(
  { db, logger }: CheckContext,
  { id, hash }: { id: string; hash: string },
  makeHash: () => Promise<string>,
): Promise<void> {
  try {
    const passwordHash = await makeHash()
    await db.query((queries) =>
      queries
        .update(users)
        .set({ passwordHash })
        .where(and(eq(users.id, id), eq(users.passwordHash, hash))),
    )
  } catch (error) {
    logger.warn('a password hash could not be renewed', { user_id: id, error })
  }
}

/** No system hashes NUL or ill-formed text, and in some NUL ends the password. */
function canBePassword(text: string): boolean {
  return text.length <= passwordUnitsMax && textFault(text) === undefined
}

function pairOf(name: string, source: string): string {
  return `pair:${name}:${digest(source)}`
}

/** Keeps names and addresses out of the throttle's store. */
function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 22)
}
