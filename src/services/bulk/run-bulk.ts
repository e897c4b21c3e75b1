// Runs bulk changes and their undoing, chunk by chunk. A user is changed if it matched when the job collected its users,
// and still matches when its chunk is locked. So the job's own changes neither add nor repeat a user.
import type { Queries } from '../../connection/postgres/database.ts'
import type { BulkBody } from '../../model/bulk.ts'
import { commitUsers, type Decisions } from '../jobs/commit-users.ts'
import type { JobRun } from '../jobs/job-run.ts'
import { type Progress, saveCheckpoint } from '../jobs/lease.ts'
import { createJobPace } from '../jobs/pace.ts'
import { whenCacheAnswers } from '../jobs/when-cache-answers.ts'
import { collectMatching, filterConditions } from './collect-users.ts'
import { decideUsers, restoringPatch, type UserPatch } from './decide-users.ts'

type Chunk = { number: number; userIds: string[]; versions: number[]; restores: UserPatch[] }

const nextChunk = `
SELECT number, user_ids AS "userIds", versions, restores FROM job_chunks
WHERE job_id = $1 AND number > $2 ORDER BY number LIMIT 1`
// A bulk change that was cancelled leaves chunks that it has not changed.
const nextChangedChunk = nextChunk.replace('ORDER BY', 'AND versions IS NOT NULL ORDER BY')

const storeChanged = `
UPDATE job_chunks SET user_ids = $3, versions = $4, restores = $5 WHERE job_id = $1 AND number = $2`

/** @throws LeaseLost; ServiceError `conflict` if far more users match than were expected, `forbidden`, `unavailable` */
export async function runBulk(run: JobRun): Promise<void> {
  const { job, session } = run
  const body = job.options as BulkBody
  if (job.rowsTotal === null)
    await session.transaction(async (queries) => {
      await collectMatching(queries, job.id, body)
      await saveCheckpoint(queries, job, job)
    })
  const conditions = body.filters && filterConditions(body.filters)
  const patch = patchOf(body)
  await eachChunk(run, nextChunk, async (queries, { number, userIds }) => {
    const wanted = userIds.map((id) => ({ id, patch }))
    const decisions = await decideUsers(queries, wanted, { job, conditions })
    const { changed } = decisions
    await queries.unprepared(storeChanged, [
      job.id,
      number,
      changed.map(({ after }) => after.id),
      changed.map(({ after }) => after.version),
      JSON.stringify(patch === 'erase' ? [] : changed.map((change) => restoringPatch(change, patch))),
    ])
    return decisions
  })
}

/** @throws LeaseLost; ServiceError `forbidden`, `unavailable` */
export async function runBulkUndo(run: JobRun): Promise<void> {
  const { job } = run
  await eachChunk(run, nextChangedChunk, (queries, { userIds, versions, restores }) => {
    const wanted = userIds.map((id, at) => ({ id, patch: restores[at] ?? {}, version: versions[at] }))
    return decideUsers(queries, wanted, { job, conditions: undefined })
  })
}

function patchOf({ action, attributes = {} }: BulkBody): UserPatch | 'erase' {
  switch (action) {
    case 'block':
      return { status: 'BLOCKED' }
    case 'unblock':
      return { status: 'ACTIVE' }
    case 'set_attributes':
      return { attributes }
    case 'erase':
      return 'erase'
  }
}

async function eachChunk(
  run: JobRun,
  statement: string,
  decide: (queries: Queries, chunk: Chunk) => Promise<Decisions>,
): Promise<void> {
  const { ctx, job, signal } = run
  const pace = createJobPace()
  let progress: Progress = job
  for (;;) {
    signal.throwIfAborted()
    const [chunk] = await ctx.db.query((queries) =>
      queries.unprepared<Chunk>(statement, [job.undoes ?? job.id, progress.position ?? '0']),
    )
    if (!chunk) return
    await whenCacheAnswers(ctx, signal)
    const startedAt = performance.now()
    progress = await commitUsers(run, progress, {
      position: String(chunk.number),
      rowsRead: chunk.userIds.length,
      decide: (queries) => decide(queries, chunk),
    })
    await pace(chunk.userIds.length, performance.now() - startedAt)
  }
}
