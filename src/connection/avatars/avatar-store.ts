// The interface of the avatar store: an S3 bucket, or a directory by default.
import { isAvatarKey } from '../../model/avatar-key.ts'

/** Stores immutable objects under the keys of `model/avatar-key.ts`. */
export type AvatarStore = {
  /** Stores the image. Storing a key again is harmless. @throws ServiceError `unavailable` */
  put(key: string, bytes: Uint8Array): Promise<void>
  /** Removes the image. Removing a missing key is harmless. @throws ServiceError `unavailable` */
  remove(key: string): Promise<void>
  /** @returns undefined if there is no such image. Only the Node server's `/avatars` route reads */
  read(key: string): Promise<Uint8Array | undefined>
  /**
   * Lists stored objects in the order of their keys, up to a thousand at a time.
   * @param after lists the objects after this key; `next` of the previous call
   * @throws ServiceError `unavailable`
   */
  list(after: string | undefined): Promise<{ found: StoredAvatar[]; next: string | undefined }>
  /** Rejects unless the store can be reached now. */
  check(): Promise<void>
  close(): Promise<void>
}

export type StoredAvatar = { key: string; storedAt: Date }

/** @throws Error for a key that this service cannot have created: a bug, not a fault of the caller */
export function checkedKey(key: string): string {
  if (!isAvatarKey(key)) throw new Error('not an avatar key')
  return key
}
