// Undoes an import: erases the users that it created and that were not changed since, chunk by chunk.
import { commitUsers, noDecisions } from '../jobs/commit-users.ts'
import type { JobRun } from '../jobs/job-run.ts'
import type { Progress } from '../jobs/lease.ts'
import { createPace } from '../pace.ts'
import { readUsers } from '../users/many-users.ts'

type CreatedChunk = { number: string; userIds: string[]; versions: number[] }

const nextChunk = `
SELECT chunk AS number, user_ids AS "userIds", versions FROM job_created_users
WHERE job_id = $1 AND chunk > $2 ORDER BY chunk LIMIT 1`

/** @throws LeaseLost; ServiceError `unavailable` */
export async function runUndo(run: JobRun): Promise<void> {
  const { ctx, job, signal } = run
  const pace = createPace()
  let progress: Progress = job
  for (;;) {
    signal.throwIfAborted()
    const [chunk] = await ctx.db.query((queries) =>
      queries.unprepared<CreatedChunk>(nextChunk, [job.undoes, progress.position ?? '0']),
    )
    if (!chunk) return
    const startedAt = performance.now()
    progress = await eraseChunk(run, chunk, progress)
    await pace(chunk.userIds.length, performance.now() - startedAt)
  }
}

function eraseChunk(run: JobRun, chunk: CreatedChunk, before: Progress): Promise<Progress> {
  const { number, userIds, versions } = chunk
  return commitUsers(run, before, {
    position: number,
    rowsRead: userIds.length,
    decide: async (queries) => {
      const stored = await readUsers(queries, userIds, true)
      const decisions = noDecisions()
      for (const [at, id] of userIds.entries()) {
        const user = stored.get(id)
        if (!user) decisions.skipped++
        else if (user.version === versions[at]) decisions.erased.push(user)
        else decisions.kept.push({ user, reason: changedSince(user) })
      }
      return decisions
    },
  })
}

/** Why an undo leaves a user. */
export function changedSince({ version }: { version: number }): string {
  return `it was changed (version ${version})`
}
