// Replaces all fields of a user.
import type { ReplaceUser, User } from '../../model/user.ts'
import { readAvatarField } from '../avatars/change.ts'
import type { WriteContext } from '../context.ts'
import { checkContactIds } from './contacts.ts'
import { readNewPassword } from './password-change.ts'
import { checkBodyId, updateUser } from './update.ts'
import type { ChangeRequest } from './write-transaction.ts'

/** @throws ServiceError as `createUser`, and `not_found`, `version_mismatch`, `forbidden` */
export async function replaceUser(
  ctx: WriteContext,
  request: ChangeRequest,
  body: ReplaceUser,
): Promise<User> {
  checkBodyId(request.id, body.id)
  checkContactIds(body.contacts)
  const avatar = await readAvatarField(body.avatar ?? null, request.caller.key)
  const password = await readNewPassword(ctx, request, body)
  return updateUser(ctx, request, {
    avatar,
    password,
    draftFrom: (current) => ({
      username: body.username,
      name: body.name ?? null,
      // A status cannot be cleared, so a missing one is kept, like a missing password.
      status: body.status ?? current.status,
      contacts: body.contacts ?? [],
      avatar,
      passwordHash: password?.hash ?? current.passwordHash,
    }),
  })
}
