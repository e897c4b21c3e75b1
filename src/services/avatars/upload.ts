// Replaces the avatar of a user by an uploaded image.
import type { User } from '../../model/user.ts'
import type { WriteContext } from '../context.ts'
import { updateUser } from '../users/update.ts'
import type { ChangeRequest } from '../users/write-transaction.ts'
import { toAvatar } from './encode.ts'

/** @throws ServiceError as `replaceUser` */
export async function uploadAvatar(
  ctx: WriteContext,
  request: ChangeRequest,
  bytes: Uint8Array,
): Promise<User> {
  const avatar = await toAvatar(bytes, request.caller.key)
  return updateUser(ctx, request, { avatar, draftFrom: (current) => ({ ...current, avatar }) })
}
