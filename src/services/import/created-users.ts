// Lists the users that an import created, which may have times and ids of their own from the file.
import type { JobsQuery, Page } from '../../model/job.ts'
import type { User } from '../../model/user.ts'
import type { ServiceContext } from '../context.ts'
import { changedCursor, readJob } from '../jobs/read.ts'
import { toUser, type UserRow, userColumns } from '../users/user-row.ts'

type Created = { id: string; chunk: string; at: number }

// A chunk has at least one user, so the chunk of the cursor and one for each row suffice. Without that limit and without
// statistics, PostgreSQL sorts the ids of all chunks.
const idsPage = `
SELECT c.chunk, i.at::int AS at, i.id
FROM (
  SELECT chunk, user_ids FROM job_created_users WHERE job_id = $1 AND chunk >= $2 ORDER BY chunk LIMIT $4 + 1
) c CROSS JOIN LATERAL unnest(c.user_ids) WITH ORDINALITY AS i(id, at)
WHERE c.chunk > $2 OR i.at > $3
ORDER BY c.chunk, i.at LIMIT $4`

const usersText = `SELECT ${userColumns} FROM users u WHERE u.id = ANY($1)`

/**
 * Chunk by chunk, as the import created them. A page leaves out the users that were erased since, so it may be short or
 * empty before the last one.
 * @throws ServiceError `not_found`, `invalid` for a changed cursor
 */
export async function listCreatedUsers(
  ctx: Pick<ServiceContext, 'db' | 'avatarBaseUrl'>,
  id: string,
  { limit, cursor = '0.0' }: JobsQuery,
): Promise<Page<User>> {
  const [, chunk, at] = /^(\d{1,15})\.(\d{1,9})$/.exec(cursor) ?? []
  if (chunk === undefined || at === undefined) throw changedCursor()
  await readJob(ctx, { id, kinds: ['import'] })
  return ctx.db.query(async (queries) => {
    const found = await queries.unprepared<Created>(idsPage, [id, chunk, at, limit + 1])
    const page = found.slice(0, limit)
    const rows = await queries.unprepared<UserRow>(usersText, [page.map(({ id }) => id)])
    const users = new Map(rows.map((row) => [row.id, toUser(row, ctx.avatarBaseUrl)]))
    const last = found.length > limit ? page.at(-1) : undefined
    return {
      items: page.flatMap(({ id }) => users.get(id) ?? []),
      next_cursor: last ? `${last.chunk}.${last.at}` : null,
    }
  })
}
