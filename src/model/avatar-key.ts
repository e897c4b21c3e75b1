// The keys under which avatars are stored: `avatars/<user id>/<sha256>.webp`. Only this service creates them.

export const avatarPrefix = 'avatars/'

const keyPattern = /^avatars\/[0-9a-f-]{36}\/[0-9a-f]{64}\.webp$/

/** @param sha256 of the image, in lower-case hexadecimal */
export function avatarKey(userId: string, sha256: string): string {
  return `${avatarPrefix}${userId}/${sha256}.webp`
}

/** Whether a key has the form above. No other key may reach a store: it could lead out of the avatars' folder. */
export function isAvatarKey(key: string): boolean {
  return keyPattern.test(key)
}

export function userOfAvatarKey(key: string): string {
  return key.split('/')[1] ?? ''
}
