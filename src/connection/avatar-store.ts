// Where avatar objects are kept: an S3 bucket, or a directory when none is configured.

/** Stores immutable objects under keys that this service alone makes (`avatars/<user id>/<sha256>.webp`). */
export type AvatarStore = {
  /** Stores `bytes` under `key`; storing the same key again is harmless. @throws ServiceError `unavailable` */
  put(key: string, bytes: Uint8Array): Promise<void>
  /** Removes `key`; removing what is not there is harmless. @throws ServiceError `unavailable` */
  remove(key: string): Promise<void>
  /** Reads `key`, or undefined where there is none. Only the Node server's `/avatars` route reads. */
  read(key: string): Promise<Uint8Array | undefined>
  /** Rejects unless the store can be reached now. */
  check(): Promise<void>
  close(): Promise<void>
}

/** Whether `key` is of the one form that this service makes; no other leads out of the avatars' place. */
export function isAvatarKey(key: string): boolean {
  return /^avatars\/[0-9a-f-]{36}\/[0-9a-f]{64}\.webp$/.test(key)
}

/** @throws Error for a key that this service cannot have made: a fault of ours, not of the caller's */
export function checkedKey(key: string): string {
  if (!isAvatarKey(key)) throw new Error('not the key of an avatar')
  return key
}
