// Hashes the new password of a user, and proves the current one where the caller must know it.
import { eq } from 'drizzle-orm'
import { invalid, type ServiceError } from '../../model/errors.ts'
import { users } from '../../model/tables.ts'
import type { PatchUser } from '../../model/user.ts'
import type { ServiceContext, WriteContext } from '../context.ts'
import { type Caller, forbidden, mayChangeAccount, mustProvePassword } from '../identity/access.ts'
import { checkOwnPassword } from '../identity/check-password.ts'
import { hashPassword } from '../identity/passwords.ts'
import { noSuchUser } from './read.ts'

/** A new password, hashed but not stored. */
export type NewPassword = {
  /** undefined if the password is removed */
  plain: string | undefined
  /** null if the password is removed */
  hash: string | null
  /** The user's state when the current password was proved; undefined if no proof was needed. */
  proof: { sessionsValidFrom: Date | null } | undefined
}

/** Hashes a new password, but only while the database accepts writes, because a hash is expensive. */
export async function hashNewPassword(
  { db }: ServiceContext,
  caller: Caller,
  password: string,
): Promise<string> {
  await db.check()
  return hashPassword(caller.key, password)
}

/**
 * @returns undefined if the request does not change the password
 * @throws ServiceError `invalid` if the current password is missing or wrong, `forbidden`, `not_found`, `overloaded`,
 *   `unavailable`
 */
export async function readNewPassword(
  ctx: WriteContext,
  { id, caller }: { id: string; caller: Caller },
  { password, current_password: current }: Pick<PatchUser, 'password' | 'current_password'>,
): Promise<NewPassword | undefined> {
  const pointer = '/current_password'
  if (password === undefined || password === null) {
    if (current !== undefined)
      throw invalid({ pointer, message: 'must be omitted unless a new password is sent' })
    if (password === undefined) return undefined
    if (!mayChangeAccount(caller)) throw forbidden()
    return { plain: undefined, hash: null, proof: undefined }
  }
  if (current === undefined) {
    if (mustProvePassword(caller)) throw invalid({ pointer, message: 'is required to change the password' })
    return { plain: password, hash: await hashNewPassword(ctx, caller, password), proof: undefined }
  }
  const [proof] = await ctx.db.query(async (queries) => {
    // An ended session must not learn whether a password is right.
    await ctx.callers.confirm(queries, caller)
    return queries
      .select({ passwordHash: users.passwordHash, sessionsValidFrom: users.sessionsValidFrom })
      .from(users)
      .where(eq(users.id, id))
  })
  if (!proof) throw noSuchUser()
  if (!(await checkOwnPassword(ctx, { userId: id, hash: proof.passwordHash, password: current })))
    throw wrongPassword()
  return { plain: password, hash: await hashNewPassword(ctx, caller, password), proof }
}

/** The input is invalid rather than the caller unauthorized: the token permits the change. */
export function wrongPassword(): ServiceError {
  return invalid({ pointer: '/current_password', message: 'does not match the current password' })
}
