// The interface of the store of job files: a private folder of the avatar bucket, or a directory by default.
// Callers seal the content (`sealed-file.ts`), because the files hold password hashes. Direct transfers cannot be sealed.

export type JobFileStore = {
  /**
   * Stores a new file. Nothing remains of a file that could not be stored completely.
   * @param id a UUID, never used before
   * @throws ServiceError `unavailable`, and the errors of `bytes`
   */
  write(id: string, bytes: AsyncIterable<Uint8Array>): Promise<void>
  /**
   * Reads a file in parts of bounded size. The iterable throws ServiceError `unavailable`, or `not_found` if there is no
   * such file, or `conflict` if its content does not have the ETag.
   */
  read(id: string, etag?: string | null): AsyncIterable<Uint8Array>
  /** Removes a file. Removing a missing one is harmless. @throws ServiceError `unavailable` */
  remove(id: string): Promise<void>
  /** Absent if clients cannot reach the store. */
  direct?: DirectTransfer
  close(): Promise<void>
}

export type DirectTransfer = {
  /** @returns where a client may PUT a new file for an hour. @throws ServiceError `unavailable` */
  uploadUrl(id: string): Promise<string>
  /** @returns undefined if no file was sent, or an empty one. @throws ServiceError `unavailable` */
  find(id: string): Promise<{ bytes: number; etag: string } | undefined>
  /**
   * @param as the answer's Content-Type and Content-Disposition
   * @returns where a client may GET a file for a minute
   * @throws ServiceError `unavailable`
   */
  downloadUrl(id: string, as: { type: string; disposition: string }): Promise<string>
}

/** The prefix of the objects, and the name of the folder. The bucket's policy denies it to CloudFront. */
export const jobFilePrefix = 'jobs/'
