// Stores, opens and removes the files of a job. They are encrypted with a key of their own, except those that clients
// exchange with the store (`direct-file.ts`).
import { v7 as uuidv7 } from 'uuid'
import { newFileKey, seal, unseal } from '../../connection/job-files/sealed-file.ts'
import type { Queries } from '../../connection/postgres/database.ts'
import { ServiceError } from '../../model/errors.ts'
import type { jobFiles } from '../../model/job-tables.ts'
import type { ServiceContext, WriteContext } from '../context.ts'
import type { Caller } from '../identity/access.ts'
import { lockJob } from './read.ts'

export type FileRole = (typeof jobFiles.$inferSelect)['role']
type FileContext = Pick<ServiceContext, 'db' | 'jobFiles' | 'logger'>

type NewFile = {
  jobId: string
  role: FileRole
  bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>
  bytesMax: number
}

const insertion = 'INSERT INTO job_files (id, job_id, role, key) VALUES ($1, $2, $3, $4)'

/**
 * Stores a file of an import that has not started.
 * @throws ServiceError `not_found`, `conflict`, `unauthenticated`, `too_large`, `unavailable`, and the errors of `bytes`
 */
export function storeJobFile(ctx: WriteContext, caller: Caller, file: NewFile): Promise<void> {
  return storeFile(ctx, file, async (queries, step) => {
    const job = await lockJob(queries, { id: file.jobId, kinds: ['import'] })
    // A long upload may outlast its token, but not a block of its caller.
    const claims = { ...caller.claims, expiresAtMs: undefined }
    if (step === 'commit') await ctx.callers.confirm(queries, { ...caller, claims })
    checkWaiting(job)
  })
}

/**
 * Stores a file. It replaces the file of the same role once it is complete.
 * @param guard throws if the job may not have the file, in the transactions before and after the transfer
 */
export async function storeFile(
  ctx: FileContext,
  file: NewFile,
  guard: (queries: Queries, step: 'begin' | 'commit') => Promise<void>,
): Promise<void> {
  const { jobId, role } = file
  const id = uuidv7()
  // A client gets the result from the store, which does not know the key.
  const key = role === 'result' && ctx.jobFiles.direct ? null : newFileKey()
  // The row comes first, so that the clean-up knows every file, even one whose upload never ended.
  await ctx.db.transaction(async (queries) => {
    await guard(queries, 'begin')
    await queries.unprepared(insertion, [id, jobId, role, key])
  })
  let replaced: { id: string }[]
  try {
    const counted = { bytes: 0 }
    const bytes = count(file, counted)
    await ctx.jobFiles.write(id, key ? seal(key, bytes) : bytes)
    replaced = await ctx.db.transaction(async (queries) => {
      await guard(queries, 'commit')
      const former = await queries.unprepared<{ id: string }>(
        'UPDATE job_files SET bytes = NULL WHERE job_id = $1 AND role = $2 AND bytes IS NOT NULL RETURNING id',
        [jobId, role],
      )
      await queries.unprepared('UPDATE job_files SET bytes = $2 WHERE id = $1', [id, counted.bytes])
      return former
    })
  } catch (error) {
    await removeFiles(ctx, [id])
    throw error
  }
  await removeFiles(
    ctx,
    replaced.map((row) => row.id),
  )
}

function checkWaiting({ state, startedAt }: { state: string; startedAt: Date | null }): void {
  if (state !== 'waiting' || startedAt !== null)
    throw new ServiceError('conflict', 'The import was started or cancelled. Create a new one for this file.')
}

async function* count({ bytes, bytesMax }: NewFile, counted: { bytes: number }): AsyncGenerator<Uint8Array> {
  for await (const part of bytes) {
    counted.bytes += part.length
    if (counted.bytes > bytesMax)
      throw new ServiceError('too_large', `The file must be at most ${bytesMax} bytes. Split it.`)
    yield part
  }
}

/**
 * Removes files and their rows. Never throws: a row remains if its file could not be removed, and the clean-up tries
 * again.
 */
export async function removeFiles({ db, jobFiles, logger }: FileContext, ids: string[]): Promise<void> {
  for (const id of ids)
    try {
      await jobFiles.remove(id)
      await db.query((queries) => queries.unprepared('DELETE FROM job_files WHERE id = $1', [id]))
    } catch (error) {
      logger.warn('a job file could not be removed', { file: id, error })
    }
}

/** Removes the file of an export, whether it is complete or not. @throws ServiceError `unavailable`, `overloaded` */
export async function removeResult(ctx: FileContext, jobId: string): Promise<void> {
  const text = `SELECT id FROM job_files WHERE job_id = $1 AND role = 'result'`
  const rows = await ctx.db.query((queries) => queries.unprepared<{ id: string }>(text, [jobId]))
  await removeFiles(
    ctx,
    rows.map(({ id }) => id),
  )
}

/** A stored file: its size, its decrypted content, and its address if clients may get it from the store. */
export type StoredFile = {
  bytes: number
  read(): AsyncIterable<Uint8Array>
  downloadUrl?: (as: { type: string; disposition: string }) => Promise<string>
}

/** @returns undefined if the job has no complete file of this role */
export async function openJobFile(
  { db, jobFiles }: FileContext,
  jobId: string,
  role: FileRole,
): Promise<StoredFile | undefined> {
  const [row] = await db.query((queries) =>
    queries.unprepared<{ id: string; key: Buffer | null; etag: string | null; bytes: number }>(
      'SELECT id, key, etag, bytes::float8 AS bytes FROM job_files WHERE job_id = $1 AND role = $2 AND bytes IS NOT NULL',
      [jobId, role],
    ),
  )
  if (!row) return undefined
  const { id, key, etag, bytes } = row
  if (key) return { bytes, read: () => unseal(key, jobFiles.read(id)) }
  const { direct } = jobFiles
  return {
    bytes,
    read: () => jobFiles.read(id, etag),
    ...(direct && { downloadUrl: (as) => direct.downloadUrl(id, as) }),
  }
}
