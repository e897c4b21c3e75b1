// The avatar field of a write: decodes a new image, and says which key it is stored under.
import { avatarKey } from '../../model/avatar-key.ts'
import { invalid, type ServiceError } from '../../model/errors.ts'
import { decodeBase64Image, isDataUri } from './base64-image.ts'
import { toAvatar } from './encode.ts'

/** An avatar that has been decoded and re-encoded but not stored. */
export type NewAvatar = Awaited<ReturnType<typeof toAvatar>>

/** A new image, the current key, or null to remove the avatar. */
export type AvatarChange = NewAvatar | string | null

/**
 * Decodes the image of an `avatar` field if it holds one.
 * @param share the key of the caller
 * @throws ServiceError as `toAvatar`, and `invalid` for any other data URI
 */
export async function readAvatarField(avatar: string | null, share: string): Promise<AvatarChange> {
  if (avatar === null || !isDataUri(avatar)) return avatar
  const bytes = decodeBase64Image(avatar, 'data-uri')
  if (!bytes) throw invalid({ pointer: '/avatar', message: 'must be a base64 data URI of an image' })
  return toAvatar(bytes, share)
}

export function isNewAvatar(avatar: AvatarChange | undefined): avatar is NewAvatar {
  return typeof avatar === 'object' && avatar !== null
}

/** @returns the value of the user's avatar column after the change */
export function avatarKeyAfter(userId: string, avatar: AvatarChange): string | null {
  return isNewAvatar(avatar) ? avatarKeyOf(userId, avatar) : avatar
}

export function avatarKeyOf(userId: string, avatar: NewAvatar): string {
  return avatarKey(userId, avatar.sha256)
}

/** A user may keep the current key, but not take another user's. */
export function foreignAvatar(): ServiceError {
  return invalid({
    pointer: '/avatar',
    message: "must be an image as a base64 data URI, the user's current avatar path, or null",
  })
}
