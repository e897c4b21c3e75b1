// Where avatar objects are kept: an S3 bucket, or a directory when none is configured.

/** Stores immutable objects under keys that this service alone makes (`avatars/<user id>/<sha256>.webp`). */
export type AvatarStore = {
  /** Stores `bytes` under `key`; storing the same key again is harmless. @throws ServiceError `unavailable` */
  put(key: string, bytes: Uint8Array): Promise<void>
  /** Removes `key`; removing what is not there is harmless. @throws ServiceError `unavailable` */
  remove(key: string): Promise<void>
  /** Reads `key`, or undefined where there is none. Only the Node server's `/avatars` route reads. */
  read(key: string): Promise<Uint8Array | undefined>
  /**
   * The keys of stored objects in order, up to a thousand at a time.
   * @param after a key of an earlier answer; the objects behind it are meant
   * @throws ServiceError `unavailable`
   */
  list(after: string | undefined): Promise<{ found: StoredAvatar[]; next: string | undefined }>
  /** Rejects unless the store can be reached now. */
  check(): Promise<void>
  close(): Promise<void>
}

export type StoredAvatar = { key: string; storedAt: Date }

/** Whether `key` is of the one form that this service makes; no other leads out of the avatars' place. */
export function isAvatarKey(key: string): boolean {
  return /^avatars\/[0-9a-f-]{36}\/[0-9a-f]{64}\.webp$/.test(key)
}

/** @throws Error for a key that this service cannot have made: a fault of ours, not of the caller's */
export function checkedKey(key: string): string {
  if (!isAvatarKey(key)) throw new Error('not the key of an avatar')
  return key
}
