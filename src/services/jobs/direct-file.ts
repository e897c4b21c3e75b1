// Files that clients send to the store itself, because the API's function takes small bodies only. The store encrypts them.
import { v7 as uuidv7 } from 'uuid'
import type { Queries } from '../../connection/postgres/database.ts'
import type { ServiceContext } from '../context.ts'

type DirectContext = Pick<ServiceContext, 'db' | 'jobFiles'>
type SentFile = { id: string; bytes: number; etag: string }

/**
 * @returns the store's address for a file of a new import; undefined if the API itself takes the file
 * @throws ServiceError `unavailable`, `overloaded`
 */
export async function openUpload(
  { db, jobFiles }: DirectContext,
  jobId: string,
  role: 'source' | 'hashes',
): Promise<string | undefined> {
  if (!jobFiles.direct) return undefined
  const id = uuidv7()
  // The row comes first, so that the clean-up knows every file.
  await db.query((queries) =>
    queries.unprepared('INSERT INTO job_files (id, job_id, role) VALUES ($1, $2, $3)', [id, jobId, role]),
  )
  return jobFiles.direct.uploadUrl(id)
}

/** @returns the files that the store has received for an import. @throws ServiceError `unavailable`, `overloaded` */
export async function findUploads({ db, jobFiles }: DirectContext, jobId: string): Promise<SentFile[]> {
  const { direct } = jobFiles
  if (!direct) return []
  const rows = await db.query((queries) =>
    queries.unprepared<{ id: string }>(
      `SELECT f.id FROM job_files f
      WHERE f.job_id = $1 AND f.key IS NULL AND f.bytes IS NULL AND f.role IN ('source', 'hashes')`,
      [jobId],
    ),
  )
  const sent = await Promise.all(
    rows.map(async ({ id }) => {
      const found = await direct.find(id)
      return found ? [{ id, ...found }] : []
    }),
  )
  return sent.flat()
}

/**
 * Makes the files part of the import. The address stays valid for a while, so the ETag fixes the content. A file that
 * came through the API goes first.
 */
export async function acceptUploads(queries: Queries, uploads: SentFile[]): Promise<void> {
  for (const { id, bytes, etag } of uploads)
    await queries.unprepared(
      `UPDATE job_files f SET bytes = $2, etag = $3
      WHERE f.id = $1 AND f.bytes IS NULL AND NOT EXISTS (
        SELECT FROM job_files o WHERE o.job_id = f.job_id AND o.role = f.role AND o.bytes IS NOT NULL
      )`,
      [id, bytes, etag],
    )
}
