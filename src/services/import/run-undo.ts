// Undoes an import: erases the users that it created and that were not changed since, chunk by chunk.
import { removeFormerAvatar } from '../avatars/remove.ts'
import type { ServiceContext } from '../context.ts'
import type { JobRun } from '../jobs/job-run.ts'
import { type Progress, saveCheckpoint } from '../jobs/lease.ts'
import { recordChanges } from '../outbox/record.ts'
import { createPace } from '../pace.ts'
import { releaseUsernames } from '../users/released-usernames.ts'
import { type StoredUser, toApiUser } from '../users/write-transaction.ts'
import { readUsers } from './changed-users.ts'
import { jobShare } from './prepare-row.ts'
import { storeErrors } from './report.ts'

type CreatedChunk = { number: string; userIds: string[]; versions: number[] }

const nextChunk = `
SELECT chunk AS number, user_ids AS "userIds", versions FROM job_created_users
WHERE job_id = $1 AND chunk > $2 ORDER BY chunk LIMIT 1`

/** @throws LeaseLost; ServiceError `unavailable` */
export async function runUndo({ ctx, job, session, signal }: JobRun): Promise<void> {
  const pace = createPace()
  let progress: Progress = job
  for (;;) {
    signal.throwIfAborted()
    const [chunk] = await ctx.db.query((queries) =>
      queries.unprepared<CreatedChunk>(nextChunk, [job.undoes, progress.position ?? '0']),
    )
    if (!chunk) return
    const startedAt = performance.now()
    progress = await eraseChunk({ ctx, job, session, signal }, chunk, progress)
    await pace(chunk.userIds.length, performance.now() - startedAt)
  }
}

async function eraseChunk(
  { ctx, job, session }: JobRun,
  chunk: CreatedChunk,
  before: Progress,
): Promise<Progress> {
  const { userIds, versions } = chunk
  let erased: StoredUser[] = []
  let record: number | undefined
  const invalidate = () =>
    ctx.cache.invalidate(
      erased.map(({ id }) => id),
      record,
      erased.map(({ usernameFolded }) => usernameFolded),
    )
  try {
    const next = await session.transaction(async (queries) => {
      const stored = await readUsers(queries, userIds, true)
      const present = userIds.flatMap((id, at) => {
        const user = stored.get(id)
        return user ? [{ user, isUnchanged: user.version === versions[at] }] : []
      })
      erased = present.filter(({ isUnchanged }) => isUnchanged).map(({ user }) => user)
      const left = present.filter(({ isUnchanged }) => !isUnchanged).map(({ user }) => user)
      const ids = erased.map(({ id }) => id)
      const names = erased.map(({ usernameFolded }) => usernameFolded)
      await queries.unprepared('DELETE FROM users WHERE id = ANY($1)', [ids])
      await releaseUsernames(queries, names)
      await recordErasures(ctx, queries, erased)
      if (ids.length > 0) record = await ctx.cache.recordInvalidation(queries, ids, names)
      await storeErrors(queries, job.id, {
        refused: left.map(({ id, version }, at) => ({
          line: before.refused + at + 1,
          faults: [
            { pointer: '', message: `user ${id} is kept, because it was changed (version ${version})` },
          ],
        })),
        before: before.refused,
      })
      const progress = {
        ...before,
        position: chunk.number,
        rowsRead: before.rowsRead + userIds.length,
        erased: before.erased + erased.length,
        skipped: before.skipped + userIds.length - present.length,
        refused: before.refused + left.length,
      }
      await saveCheckpoint(queries, job, progress)
      return progress
    })
    await invalidate()
    await removeAvatars(ctx, erased)
    return next
  } catch (error) {
    // The commit may have succeeded without a confirmation. Its record then stays for the sweep.
    record = undefined
    await invalidate()
    throw error
  }
}

async function recordErasures(
  ctx: ServiceContext,
  queries: Parameters<typeof recordChanges>[0],
  erased: StoredUser[],
): Promise<void> {
  const { pool, bus } = ctx.outbox
  if (!pool && !bus) return
  const changes = erased.map((user) => ({
    before: toApiUser(ctx, user),
    after: undefined,
    isPasswordNew: false,
  }))
  await recordChanges(queries, ctx.outbox, changes)
}

async function removeAvatars(ctx: ServiceContext, erased: StoredUser[]): Promise<void> {
  for (const { id, avatar } of erased)
    if (avatar !== null) await removeFormerAvatar(ctx, { userId: id, key: avatar, share: jobShare })
}
