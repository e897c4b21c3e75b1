// Changes the fields of a user that the request names.
import type { PatchUser, User } from '../../model/user.ts'
import { readAvatarField } from '../avatars/change.ts'
import type { WriteContext } from '../context.ts'
import { checkContactIds } from './contacts.ts'
import { readNewPassword } from './password-change.ts'
import { checkBodyId, updateUser } from './update.ts'
import type { ChangeRequest } from './write-transaction.ts'

/** @throws ServiceError as `replaceUser` */
export async function patchUser(ctx: WriteContext, request: ChangeRequest, body: PatchUser): Promise<User> {
  checkBodyId(request.id, body.id)
  checkContactIds(body.contacts)
  const avatar =
    body.avatar === undefined ? undefined : await readAvatarField(body.avatar, request.caller.key)
  const password = await readNewPassword(ctx, request, body)
  return updateUser(ctx, request, {
    avatar,
    password,
    draftFrom: (current) => ({
      username: body.username ?? current.username,
      name: body.name === undefined ? current.name : body.name,
      status: body.status ?? current.status,
      contacts: body.contacts === undefined ? current.contacts : (body.contacts ?? []),
      avatar: avatar === undefined ? current.avatar : avatar,
      passwordHash: password?.hash ?? current.passwordHash,
    }),
  })
}
