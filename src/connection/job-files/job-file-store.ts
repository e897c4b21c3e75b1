// The interface of the store of job files: a private folder of the avatar bucket, or a directory by default.
// Callers seal the content (`sealed-file.ts`), because the files hold password hashes.

export type JobFileStore = {
  /**
   * Stores a new file. Nothing remains of a file that could not be stored completely.
   * @param id a UUID, never used before
   * @throws ServiceError `unavailable`, and the errors of `bytes`
   */
  write(id: string, bytes: AsyncIterable<Uint8Array>): Promise<void>
  /**
   * Reads a file in parts of bounded size. The iterable throws ServiceError `unavailable`, or `not_found` if there is no
   * such file.
   */
  read(id: string): AsyncIterable<Uint8Array>
  /** Removes a file. Removing a missing one is harmless. @throws ServiceError `unavailable` */
  remove(id: string): Promise<void>
  close(): Promise<void>
}

/** The prefix of the objects, and the name of the folder. The bucket's policy denies it to CloudFront. */
export const jobFilePrefix = 'jobs/'
