// The cache's state in PostgreSQL: the server that all processes share, and the recorded invalidations. In plain SQL,
// so that it does not load Drizzle's query builder.

import type { Database, Queries } from '../postgres/database.ts'
import { type InvalidationRecord, keysOf, type UserIds } from './cache.ts'
import { type CacheRegistry, type Invalidation, invalidationsMax } from './trust.ts'

const insertion =
  'INSERT INTO cache_invalidations (user_id, names, more_user_ids) VALUES ($1, $2, $3) RETURNING id::float8 AS id'

// One snapshot. A standby may lag behind the primary and miss records.
const registryText = `
SELECT s.run_id AS "runId", s.era, pg_is_in_recovery() AS "isStandby",
  (SELECT max(id) FROM cache_invalidations)::float8 AS newest,
  (SELECT coalesce(json_agg(i), '[]') FROM (
    SELECT id, user_id AS "userId", names, more_user_ids AS "moreUserIds" FROM cache_invalidations
    WHERE $1::bigint IS NULL OR id <= $1 ORDER BY id LIMIT $2
  ) i) AS invalidations
FROM (VALUES (true)) AS always LEFT JOIN cache_servers s ON true`

const completion = `
DELETE FROM cache_invalidations
WHERE id = ANY($1::bigint[]) AND EXISTS (SELECT 1 FROM cache_servers WHERE era = $2)`

const eraBeginning = `
INSERT INTO cache_servers (run_id, era) VALUES ($1, gen_random_uuid())
ON CONFLICT (is_current) DO UPDATE SET run_id = excluded.run_id, era = excluded.era
WHERE cache_servers.era = $2`

/** The id of a record that concerns usernames alone. */
export const noUser = '00000000-0000-0000-0000-000000000000'

/** The entries that a record names. */
export type RecordedKeys = { userId: string; names: string[] | null; moreUserIds: string[] | null }

type RegistryRow = {
  runId: string | null
  era: string | null
  isStandby: boolean
  newest: number | null
  invalidations: (RecordedKeys & { id: number })[]
}

export function invalidationOf({
  id,
  userId,
  names,
  moreUserIds,
}: RecordedKeys & { id: number }): Invalidation {
  // In a cluster, the key of no user may belong to another primary, which would fail the whole renewal.
  const userIds = [userId, ...(moreUserIds ?? [])].filter((id) => id !== noUser)
  return { id, keys: keysOf(userIds, names ?? []) }
}

/** Records, in a write's transaction, the entries that it must invalidate. */
export async function recordInvalidation(
  queries: Queries,
  ids: UserIds,
  names: string[],
): Promise<InvalidationRecord[]> {
  const [userId = noUser, ...more] = typeof ids === 'string' ? [ids] : ids
  const values = [userId, names, more.length > 0 ? more : null]
  return queries.prepared<InvalidationRecord>('invalidation', insertion, values)
}

export function openCacheRegistry(database: Database): CacheRegistry {
  // A share of its own, so that a renewal is next however many requests wait for a connection.
  const db = database.of('cache')
  return {
    look: async (upTo) => {
      const [row] = await db.query((queries) =>
        queries.prepared<RegistryRow>('cache-registry', registryText, [upTo ?? null, invalidationsMax]),
      )
      if (!row || row.isStandby) throw new Error('PostgreSQL is a standby, which may miss the latest writes')
      const { runId, era, newest, invalidations } = row
      return {
        registered: runId === null || era === null ? undefined : { runId, era },
        newest: newest ?? undefined,
        invalidations: invalidations.map(invalidationOf),
      }
    },
    beginEra: async (runId, seen) => {
      await db.query((queries) => queries.prepared('cache-era', eraBeginning, [runId, seen ?? null]))
    },
    complete: async (ids, era) => {
      await db.query((queries) => queries.prepared('invalidations-done', completion, [ids, era]))
    },
  }
}
