// Commits a chunk: users, contacts, events, cache invalidation, report and checkpoint in one transaction.
import type { InvalidationRecord } from '../../connection/cache/cache.ts'
import type { Queries } from '../../connection/postgres/database.ts'
import { violatedUniqueConstraint } from '../../connection/postgres/sqlstates.ts'
import { removeFormerAvatar } from '../avatars/remove.ts'
import type { ServiceContext } from '../context.ts'
import { type JobRun, jobShare } from '../jobs/job-run.ts'
import { type Progress, saveCheckpoint } from '../jobs/lease.ts'
import { recordChanges } from '../outbox/record.ts'
import { toApiUser } from '../users/write-transaction.ts'
import type { Chunk } from './chunks.ts'
import type { ImportChoices } from './decide.ts'
import { type Merged, mergeRows } from './merge-rows.ts'
import { storeErrors, storeUndo } from './report.ts'

// A unique key that another write stores between the look-up and the copy ends an attempt.
const attemptsMax = 10

/**
 * @param progress before the chunk
 * @returns the progress after it
 * @throws LeaseLost; ServiceError `unavailable`
 */
export async function mergeChunk(
  { ctx, job, session }: JobRun,
  chunk: Chunk,
  { choices, progress }: { choices: ImportChoices; progress: Progress },
): Promise<Progress> {
  for (let attempt = 1; ; attempt++) {
    let ids: string[] = []
    let names: string[] = []
    let records: InvalidationRecord[] | undefined
    try {
      const { next, merged } = await session.transaction(async (queries) => {
        const merged = await mergeRows(ctx, queries, {
          rows: chunk.rows,
          choices,
          isContended: attempt > 1,
        })
        const refused = [...chunk.refused, ...merged.refused].sort((a, b) => a.line - b.line)
        const next = progressAfter(progress, chunk, { ...merged, refused })
        if (!choices.dry_run) {
          await recordEvents(ctx, queries, { merged, announce: choices.announce })
          ids = idsOf(chunk, merged)
          names = namesOf(merged)
          if (ids.length + names.length > 0) records = await ctx.cache.recordInvalidation(queries, ids, names)
          await storeUndo(queries, job.id, { number: chunk.rowsRead, created: merged.created })
        }
        await storeErrors(queries, job.id, { refused, before: progress.refused })
        // Last, because until then the job's row must stay free for its lease and for a cancellation.
        await saveCheckpoint(queries, job, next)
        return { next, merged }
      })
      await ctx.cache.invalidate(ids, records, names)
      if (!choices.dry_run) await removeReplacedAvatars(ctx, merged)
      return next
    } catch (error) {
      // The commit may have succeeded without a confirmation. Its record then stays for the sweep.
      await ctx.cache.invalidate(ids, undefined, names)
      if (violatedUniqueConstraint(error) === undefined || attempt === attemptsMax) throw error
    }
  }
}

function progressAfter(before: Progress, { rowsRead, bytesRead }: Chunk, merged: Merged): Progress {
  return {
    ...before,
    bytesRead,
    rowsRead,
    created: before.created + merged.created.length,
    updated: before.updated + merged.changed.length,
    unchanged: before.unchanged + merged.unchanged,
    skipped: before.skipped + merged.skipped,
    refused: before.refused + merged.refused.length,
  }
}

async function recordEvents(
  ctx: ServiceContext,
  queries: Queries,
  { merged, announce }: { merged: Merged; announce: boolean },
): Promise<void> {
  const created = merged.created.map((user) => ({
    before: undefined,
    after: toApiUser(ctx, user),
    isPasswordNew: true,
  }))
  const changed = merged.changed.map(({ before, after }) => ({
    before: toApiUser(ctx, before),
    after: toApiUser(ctx, after),
    isPasswordNew: before.passwordHash !== after.passwordHash,
  }))
  const { pool, bus } = ctx.outbox
  if (pool || bus) await recordChanges(queries, ctx.outbox, announce ? [...created, ...changed] : changed)
}

/** Users whose entry may be cached: a negative one, if the id was known before. */
function idsOf({ rows }: Chunk, { changed }: Merged): string[] {
  return [...rows.flatMap(({ kept }) => kept.id ?? []), ...changed.map(({ before }) => before.id)]
}

function namesOf({ created, changed }: Merged): string[] {
  const users = [...created, ...changed.flatMap(({ before, after }) => [before, after])]
  return [...new Set(users.map(({ usernameFolded }) => usernameFolded))]
}

async function removeReplacedAvatars(ctx: ServiceContext, { changed }: Merged): Promise<void> {
  for (const { before, after } of changed)
    if (before.avatar !== null && before.avatar !== after.avatar)
      await removeFormerAvatar(ctx, { userId: before.id, key: before.avatar, share: jobShare })
}
