// Runs an import: parses its file, checks the rows, and merges them chunk by chunk. While PostgreSQL merges a chunk, the
// next one is prepared.
import { type ImportBody, type ImportFormat, importBytesMax } from '../../model/job.ts'
import type { ServiceContext } from '../context.ts'
import { openJobFile } from '../jobs/job-file.ts'
import type { JobRun } from '../jobs/job-run.ts'
import type { Progress } from '../jobs/lease.ts'
import { createJobPace } from '../jobs/pace.ts'
import { whenCacheAnswers } from '../jobs/when-cache-answers.ts'
import { createRowCheck } from './check-row.ts'
import { type Chunk, inChunks } from './chunks.ts'
import { decompress } from './decompress.ts'
import { mergeChunk } from './merge-chunk.ts'
import { loadParser } from './parsers.ts'
import { readHashes } from './read-hashes.ts'
import { invalidFile } from './row.ts'

type Choices = Omit<ImportBody, 'format' | 'options'>
type Parameters = NonNullable<ImportBody['options']>

/** @throws LeaseLost; ServiceError `invalid` if the file cannot be imported, `unavailable` */
export async function runImport(run: JobRun): Promise<void> {
  const { ctx, job, signal } = run
  const choices = job.options as Choices
  const file = await openJobFile(ctx, job.id, 'source')
  if (!file) throw invalidFile('The file has been removed. Create a new import.')
  const parameters = await readParameters(ctx, job.id)
  let bytesRead = 0
  const counted = async function* () {
    for await (const part of file.read()) {
      bytesRead += part.length
      yield part
    }
  }
  const parse = await loadParser(job.format as ImportFormat)
  const { mapping } = choices
  const content = decompress(counted(), { bytesMax: importBytesMax })
  const { missing_avatars, ...source } = parameters
  const hashes = await openJobFile(ctx, job.id, 'hashes')
  const hashesOf = hashes && (await readHashes(hashes.read(), signal))
  const parsed = parse(content, { ...source, ...(mapping && { mapping }), ...(hashesOf && { hashesOf }) })
  const chunks = inChunks(parsed, {
    ctx,
    checkRow: createRowCheck(choices),
    skip: job.rowsRead,
    bytesRead: () => bytesRead,
    now: await startClock(ctx),
    isDryRun: choices.dry_run,
    dropsMissingAvatar: missing_avatars === 'drop',
    signal,
  })

  const pace = createJobPace()
  const merge = async (chunk: Chunk, before: Promise<Progress>): Promise<Progress> => {
    const progress = await before
    signal.throwIfAborted()
    await whenCacheAnswers(ctx, signal)
    const startedAt = performance.now()
    const next = await mergeChunk(run, chunk, { choices, progress })
    await pace(chunk.rows.length, performance.now() - startedAt)
    return next
  }
  let merging: Promise<Progress> = Promise.resolve(job)
  try {
    for await (const chunk of chunks) {
      await merging
      merging = merge(chunk, merging)
      // Its error is thrown by the next turn, or after the loop.
      merging.catch(() => {})
    }
  } finally {
    // Also if the rest of the file is malformed: its chunks before that are committed.
    await merging
  }
}

/** Follows the database's clock, because the clocks of servers differ. */
async function startClock({ db }: ServiceContext): Promise<() => Date> {
  const [row] = await db.query((queries) =>
    queries.unprepared<{ ms: number }>(
      'SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS ms',
      [],
    ),
  )
  const ahead = (row?.ms ?? Date.now()) - performance.now()
  return () => new Date(Math.floor(performance.now() + ahead))
}

async function readParameters(ctx: ServiceContext, jobId: string): Promise<Parameters> {
  const file = await openJobFile(ctx, jobId, 'options')
  if (!file) return {}
  const parts: Uint8Array[] = []
  for await (const part of file.read()) parts.push(part)
  return JSON.parse(Buffer.concat(parts).toString()) as Parameters
}
