// Commits what a job did with some users: changes, erasures, events, cache invalidation, report and checkpoint in one
// transaction.
import type { InvalidationRecord } from '../../connection/cache/cache.ts'
import type { Queries } from '../../connection/postgres/database.ts'
import { removeFormerAvatar } from '../avatars/remove.ts'
import type { ServiceContext } from '../context.ts'
import { storeErrors } from '../import/report.ts'
import { recordChanges } from '../outbox/record.ts'
import { type ChangedUser, deleteUsers, storeChangedUsers } from '../users/many-users.ts'
import { type StoredUser, toApiUser } from '../users/write-transaction.ts'
import { type JobRun, jobShare } from './job-run.ts'
import { type Progress, saveCheckpoint } from './lease.ts'

/** The decisions about users that the transaction has locked. */
export type Decisions = {
  changed: ChangedUser[]
  erased: StoredUser[]
  unchanged: number
  skipped: number
  /** Users that stay against the request, and why. */
  kept: { user: StoredUser; reason: string }[]
}

export function noDecisions(): Decisions {
  return { changed: [], erased: [], unchanged: 0, skipped: 0, kept: [] }
}

type Part = {
  /** Where the job goes on afterwards. */
  position: string
  rowsRead: number
  /** Locks the users, and decides. May be repeated. */
  decide(queries: Queries): Promise<Decisions>
}

/**
 * @returns the progress after the part
 * @throws LeaseLost; ServiceError `unavailable`
 */
export async function commitUsers(
  { ctx, job, session }: JobRun,
  before: Progress,
  { position, rowsRead, decide }: Part,
): Promise<Progress> {
  let decisions = noDecisions()
  let records: InvalidationRecord[] | undefined
  try {
    const progress = await session.transaction(async (queries) => {
      decisions = await decide(queries)
      const { changed, erased, unchanged, skipped, kept } = decisions
      await storeChangedUsers(queries, changed)
      await deleteUsers(queries, erased)
      await recordEvents(ctx, queries, decisions)
      const { ids, names } = touched(decisions)
      if (ids.length > 0) records = await ctx.cache.recordInvalidation(queries, ids, names)
      await storeErrors(queries, job.id, {
        refused: kept.map(({ user, reason }, at) => ({
          line: before.refused + at + 1,
          faults: [{ pointer: '', message: `user ${user.id} is kept, because ${reason}` }],
        })),
        before: before.refused,
      })
      const progress = {
        ...before,
        position,
        rowsRead: before.rowsRead + rowsRead,
        updated: before.updated + changed.length,
        unchanged: before.unchanged + unchanged,
        erased: before.erased + erased.length,
        skipped: before.skipped + skipped,
        refused: before.refused + kept.length,
      }
      // Last, because until then the job's row must stay free for its lease and for a cancellation.
      await saveCheckpoint(queries, job, progress)
      return progress
    })
    await invalidate(ctx, decisions, records)
    for (const { id, avatar } of decisions.erased)
      if (avatar !== null) await removeFormerAvatar(ctx, { userId: id, key: avatar, share: jobShare })
    return progress
  } catch (error) {
    // The commit may have succeeded without a confirmation. Its record then stays for the sweep.
    await invalidate(ctx, decisions, undefined)
    throw error
  }
}

function touched({ changed, erased }: Decisions): { ids: string[]; names: string[] } {
  const users = [...changed.map(({ before }) => before), ...erased]
  return { ids: users.map(({ id }) => id), names: users.map(({ usernameFolded }) => usernameFolded) }
}

async function invalidate(
  { cache }: ServiceContext,
  decisions: Decisions,
  records: InvalidationRecord[] | undefined,
): Promise<void> {
  const { ids, names } = touched(decisions)
  if (ids.length > 0) await cache.invalidate(ids, records, names)
}

async function recordEvents(
  ctx: ServiceContext,
  queries: Queries,
  { changed, erased }: Decisions,
): Promise<void> {
  const { pool, bus } = ctx.outbox
  if (!pool && !bus) return
  await recordChanges(queries, ctx.outbox, [
    ...changed.map(({ before, after }) => ({
      before: toApiUser(ctx, before),
      after: toApiUser(ctx, after),
      isPasswordNew: before.passwordHash !== after.passwordHash,
    })),
    ...erased.map((user) => ({ before: toApiUser(ctx, user), after: undefined, isPasswordNew: false })),
  ])
}
