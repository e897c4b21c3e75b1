// Changes the fields of a user that the request names.
import {
  type Attributes,
  type AttributesPatch,
  attributesFault,
  mergeAttributes,
} from '../../model/attributes.ts'
import { invalid } from '../../model/errors.ts'
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
      externalId: body.external_id === undefined ? current.externalId : body.external_id,
      attributes: patchAttributes(current.attributes, body.attributes),
      passwordHash: password === undefined ? current.passwordHash : password.hash,
    }),
  })
}

/** @throws ServiceError `invalid` if the result is too large */
function patchAttributes(current: Attributes, patch: AttributesPatch | null | undefined): Attributes {
  if (patch === undefined) return current
  if (patch === null) return {}
  const merged = mergeAttributes(current, patch)
  const message = attributesFault(merged)
  if (message !== undefined) throw invalid({ pointer: '/attributes', message })
  return merged
}
