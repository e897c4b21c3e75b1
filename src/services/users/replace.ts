// Replaces all fields of a user.
import type { ReplaceUser, User } from '../../model/user.ts'
import { readAvatarField } from '../avatars/change.ts'
import type { WriteContext } from '../context.ts'
import { type Caller, mayChangeAccount } from '../identity/access.ts'
import { checkContactIds } from './contacts.ts'
import { readNewPassword } from './password-change.ts'
import { checkBodyId, updateUser } from './update.ts'
import type { ChangeRequest, StoredUser, UserDraft } from './write-transaction.ts'

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
      ...accountFields(request.caller, current, body),
      avatar,
      passwordHash: password === undefined ? current.passwordHash : password.hash,
    }),
  })
}

/** Callers who may not clear these fields keep them by leaving them out. */
function accountFields(
  caller: Caller,
  current: StoredUser,
  { external_id, attributes }: ReplaceUser,
): Pick<UserDraft, 'externalId' | 'attributes'> {
  const missing = mayChangeAccount(caller) ? { externalId: null, attributes: {} } : current
  return {
    externalId: external_id === undefined ? missing.externalId : external_id,
    attributes: attributes ?? missing.attributes,
  }
}
