// Changes an existing user. Replacing, patching and uploading differ only in the draft that they make.
import { isDeepStrictEqual } from 'node:util'
import { eq, sql } from 'drizzle-orm'
import { invalid } from '../../model/errors.ts'
import { users } from '../../model/tables.ts'
import type { User } from '../../model/user.ts'
import { type AvatarChange, avatarKeyAfter, foreignAvatar } from '../avatars/change.ts'
import { removeFormerAvatar } from '../avatars/remove.ts'
import type { WriteContext } from '../context.ts'
import { forbidden, mayChangeAccount } from '../identity/access.ts'
import { storeContacts } from './contacts.ts'
import { type NewPassword, wrongPassword } from './password-change.ts'
import { releaseUsernames } from './released-usernames.ts'
import {
  type ChangeRequest,
  draftColumns,
  lockUser,
  type StoredUser,
  saveUser,
  type UserDraft,
} from './write-transaction.ts'

/**
 * @param change.avatar undefined if the request does not name the avatar
 * @param change.draftFrom makes the new state from the locked one
 * @throws ServiceError `not_found`, `version_mismatch`, `forbidden`, `invalid`, `conflict`, `unavailable`, `overloaded`
 */
export async function updateUser(
  ctx: WriteContext,
  request: ChangeRequest,
  change: {
    avatar?: AvatarChange | undefined
    password?: NewPassword | undefined
    draftFrom: (current: StoredUser) => UserDraft
  },
): Promise<User> {
  const { id, caller } = request
  const { avatar, password, draftFrom } = change
  let oldAvatar: string | null = null
  const written = { id, caller, avatar, newPassword: password?.plain }
  const user = await saveUser(ctx, written, async (queries) => {
    const current = await lockUser(ctx, queries, request)
    if (password?.proof && !isSameInstant(password.proof.sessionsValidFrom, current.sessionsValidFrom))
      // A concurrent change has replaced the password that was proved.
      throw wrongPassword()
    const draft = draftFrom(current)
    if (isAccountChange(current, draft) && !mayChangeAccount(caller)) throw forbidden()
    if (typeof draft.avatar === 'string' && draft.avatar !== current.avatar) throw foreignAvatar()

    const isBlocked = draft.status === 'BLOCKED' && current.status !== 'BLOCKED'
    const isPasswordNew = draft.passwordHash !== current.passwordHash
    const [row] = await queries
      .update(users)
      .set({
        ...draftColumns(draft),
        avatar: avatarKeyAfter(id, draft.avatar),
        version: current.version + 1,
        // The clock may have been set back since the last change.
        updatedAt: sql`greatest(clock_timestamp(), ${users.updatedAt})`,
        ...((isBlocked || isPasswordNew) && {
          // Never the same value twice, so that a concurrent password check notices the change.
          sessionsValidFrom: sql`greatest(clock_timestamp(), ${users.sessionsValidFrom} + interval '1 ms')`,
        }),
      })
      .where(eq(users.id, id))
      .returning()
    if (row && row.usernameFolded !== current.usernameFolded)
      await releaseUsernames(queries, [current.usernameFolded])
    oldAvatar = current.avatar
    const contacts = await storeContacts(queries, id, { current: current.contacts, wanted: draft.contacts })
    return { before: current, row, contacts }
  })
  if (oldAvatar !== null && oldAvatar !== user.avatar)
    await removeFormerAvatar(ctx, { userId: id, key: oldAvatar, share: caller.key })
  return user
}

function isAccountChange(current: StoredUser, draft: UserDraft): boolean {
  return (
    draft.status !== current.status ||
    draft.username !== current.username ||
    draft.externalId !== current.externalId ||
    !isDeepStrictEqual(draft.attributes, current.attributes)
  )
}

/** @throws ServiceError `invalid` if the body names another user than the path */
export function checkBodyId(id: string, sent: string | undefined): void {
  if (sent !== undefined && sent !== id)
    throw invalid({ pointer: '/id', message: 'must equal the id in the path' })
}

function isSameInstant(one: Date | null, other: Date | null): boolean {
  return one?.getTime() === other?.getTime()
}
