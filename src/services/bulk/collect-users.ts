// Collects the users of a bulk change in one statement, so that they are those of one instant, and in chunks.
import { type SQL, sql } from 'drizzle-orm'
import type { Queries } from '../../connection/postgres/database.ts'
import type { BulkBody } from '../../model/bulk.ts'
import { ServiceError } from '../../model/errors.ts'
import { readFilters } from '../export/filters.ts'
import { whereOf } from '../users/conditions.ts'
import { matchingConditions } from '../users/list.ts'

// The users of a chunk are locked together, so a live write may wait for a chunk.
const usersPerChunk = 500

// The list is not exact for long: people sign up while an administrator reads it.
const toleratedUsers = 10
const toleratedShare = 0.1

/** @throws ServiceError `invalid` for a filter that the list does not take */
export function filterConditions(filters: BulkBody['filters']): SQL[] {
  return matchingConditions(readFilters(filters))
}

/**
 * Stores the users that the filters match.
 * @returns how many
 * @throws ServiceError `conflict` if far more match than were expected
 */
export async function collectMatching(
  queries: Queries,
  jobId: string,
  { filters, expected_total: expected }: Pick<BulkBody, 'filters' | 'expected_total'>,
): Promise<number> {
  const total = await storeChunks(
    queries,
    jobId,
    sql`SELECT u.id FROM users u ${whereOf(filterConditions(filters))}`,
  )
  if (expected !== undefined && total > expected + Math.max(toleratedUsers, expected * toleratedShare))
    throw new ServiceError(
      'conflict',
      `${total} users match, but ${expected} were expected. Look at the list again; nothing was changed.`,
    )
  return total
}

/** Stores the users with these ids. Those that do not exist are skipped later. @returns how many */
export async function collectIds(queries: Queries, jobId: string, ids: string[]): Promise<number> {
  return storeChunks(queries, jobId, sql`SELECT DISTINCT unnest(${sql.param(ids)}::uuid[]) AS id`)
}

async function storeChunks(queries: Queries, jobId: string, users: SQL): Promise<number> {
  const { rows } = await queries.execute<{ total: number }>(sql`
    WITH numbered AS (
      SELECT id, ((row_number() OVER (ORDER BY id) - 1) / ${sql.raw(String(usersPerChunk))} + 1)::int AS number
      FROM (${users}) chosen
    ), stored AS (
      INSERT INTO job_chunks (job_id, number, user_ids)
      SELECT ${jobId}, number, array_agg(id ORDER BY id) FROM numbered GROUP BY number
      RETURNING cardinality(user_ids) AS count
    )
    SELECT coalesce(sum(count), 0)::int AS total FROM stored`)
  const total = rows[0]?.total ?? 0
  await queries.execute(sql`UPDATE jobs SET rows_total = ${total} WHERE id = ${jobId}`)
  return total
}
