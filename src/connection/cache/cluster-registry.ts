// The state of a cluster's cache in PostgreSQL: which primary holds each slot, and the recorded invalidations by slot. In
// plain SQL, so that it does not load Drizzle's query builder.
import type { Database, Queries } from '../postgres/database.ts'
import { type Slots, slotOf } from '../redis/slots.ts'
import { type InvalidationRecord, usernameOfKey } from './cache.ts'
import { clusterKeys } from './redis-keys.ts'
import { invalidationOf, noUser, type RecordedKeys } from './registry.ts'
import { type Invalidation, invalidationsMax } from './trust.ts'

/** A primary as it reports itself. */
export type Primary = {
  /** Its run id and epoch. */
  server: string
  epoch: number
  slots: Slots
}

/** The registered state of one primary's slots, in one snapshot. */
export type ClusterView = {
  /** Another cache that processes use at the same time: a single server instead of the cluster. */
  other: { runId: string; era: string } | undefined
  isClusterRegistered: boolean
  /** The era of this primary, and those of its slots that are registered as its own. */
  own: { era: string; slots: Slots } | undefined
  /** Whether it has slots that are not registered as its own. */
  hasMore: boolean
  /** Whether slots are registered as its own that it does not have. */
  hasLess: boolean
  /** Whether another primary had one of these since the era began. */
  hadLost: boolean
  /** The primary with the highest epoch among those that these slots are registered for. */
  rival: { server: string; epoch: number; era: string } | undefined
  /** The eras of all primaries that a registration would change. */
  seen: string[]
  /** Those of its registered slots, oldest first, at most `invalidationsMax`. */
  invalidations: Invalidation[]
  /** The newest invalidation of any slot. */
  newest: number | undefined
}

export type ClusterRegistry = {
  /** @param upTo limits the answer to invalidations up to this id; all when undefined */
  look(primary: Primary, upTo: number | undefined): Promise<ClusterView>
  /** Registers the cluster in the place of `seen`, unless another process has replaced that meanwhile. */
  beginCluster(seen: string | undefined): Promise<void>
  /**
   * Registers all slots of a primary, unless another process has changed `seen` meanwhile.
   * @param era stays the same; undefined begins a new one
   */
  take(primary: Primary, seen: string[], era: string | undefined): Promise<void>
  /** Registers that a primary has no other slots than these. */
  release(primary: Primary): Promise<void>
  /** Deletes invalidations that were done in `era`, if it is still the current one of their slots. */
  complete(ids: number[], era: string): Promise<void>
}

const clusterName = 'cluster'

// One snapshot. A standby may lag behind the primary and miss records.
const viewText = `
WITH own AS (SELECT era, slots * $2::int4multirange AS slots, lost, $2::int4multirange - slots AS more,
    NOT slots <@ $2::int4multirange AS less
  FROM cache_primaries WHERE server = $1),
  more AS (SELECT coalesce((SELECT more FROM own), $2::int4multirange) AS slots)
SELECT s.run_id AS "runId", s.era AS "clusterEra", pg_is_in_recovery() AS "isStandby",
  EXISTS (SELECT 1 FROM cache_invalidations WHERE slot IS NULL) AS "hasOthersRecords",
  (SELECT era FROM own) AS era, (SELECT slots::text FROM own) AS slots,
  NOT isempty(more.slots) AS "hasMore", coalesce((SELECT less FROM own), false) AS "hasLess",
  coalesce((SELECT lost && more.slots FROM own), false) AS "hadLost",
  (SELECT json_build_object('server', p.server, 'epoch', p.epoch, 'era', p.era) FROM cache_primaries p
    WHERE p.slots && more.slots ORDER BY p.epoch DESC LIMIT 1) AS rival,
  (SELECT coalesce(json_agg(p.era ORDER BY p.era), '[]') FROM cache_primaries p
    WHERE p.server = $1 OR p.slots && $2::int4multirange) AS seen,
  (SELECT max(id) FROM cache_invalidations)::float8 AS newest,
  (SELECT coalesce(json_agg(i), '[]') FROM (
    SELECT id, user_id AS "userId", names, more_user_ids AS "moreUserIds" FROM cache_invalidations
    WHERE (SELECT slots FROM own) @> slot::int AND ($3::bigint IS NULL OR id <= $3) ORDER BY id LIMIT $4
  ) i) AS invalidations
FROM more LEFT JOIN cache_servers s ON true`

const insertion = `
INSERT INTO cache_invalidations (user_id, names, more_user_ids, slot)
SELECT "userId", names, "moreUserIds", slot
FROM jsonb_to_recordset($1) AS r("userId" uuid, names text[], "moreUserIds" uuid[], slot smallint)
RETURNING id::float8 AS id, slot`

const completion = `
DELETE FROM cache_invalidations i USING cache_primaries p
WHERE i.id = ANY($1::bigint[]) AND p.era = $2 AND p.slots @> i.slot::int
  AND EXISTS (SELECT 1 FROM cache_servers WHERE run_id = '${clusterName}')`

const clusterBeginning = `
INSERT INTO cache_servers (run_id, era) VALUES ('${clusterName}', gen_random_uuid())
ON CONFLICT (is_current) DO UPDATE SET run_id = excluded.run_id, era = excluded.era
WHERE cache_servers.era = $1
RETURNING 1`

// Registrations wait for each other, because each one decides by what the other primaries have.
const lock = 'LOCK TABLE cache_primaries IN SHARE ROW EXCLUSIVE MODE'

const seenText = `
SELECT 1 WHERE EXISTS (SELECT 1 FROM cache_servers WHERE run_id = '${clusterName}')
  AND $3::uuid[] = (SELECT coalesce(array_agg(era ORDER BY era), '{}') FROM cache_primaries
    WHERE server = $1 OR slots && $2::int4multirange)`

const losing = `
UPDATE cache_primaries SET slots = slots - $2::int4multirange, lost = lost + slots * $2::int4multirange
WHERE slots && $2::int4multirange AND server <> $1`

const releasing = `
UPDATE cache_primaries SET slots = slots * $2::int4multirange, lost = lost + (slots - $2::int4multirange)
WHERE server = $1`

const registering = `
INSERT INTO cache_primaries (server, epoch, slots, era) VALUES ($1, $3, $2::int4multirange, gen_random_uuid())
ON CONFLICT (server) DO UPDATE SET slots = excluded.slots, lost = '{}', era = excluded.era`

const extending = `
UPDATE cache_primaries SET slots = slots + $2::int4multirange WHERE server = $1`

type ViewRow = {
  runId: string | null
  clusterEra: string | null
  isStandby: boolean
  hasOthersRecords: boolean
  era: string | null
  slots: string | null
  hasMore: boolean
  hasLess: boolean
  hadLost: boolean
  rival: ClusterView['rival'] | null
  seen: string[]
  newest: number | null
  invalidations: (RecordedKeys & { id: number })[]
}

export function openClusterRegistry(database: Database): ClusterRegistry {
  // A share of its own, so that a renewal is next however many requests wait for a connection.
  const db = database.of('cache')
  return {
    look: async ({ server, slots }, upTo) => {
      const values = [server, multirangeOf(slots), upTo ?? null, invalidationsMax]
      const [row] = await db.query((queries) =>
        queries.prepared<ViewRow>('cluster-registry', viewText, values),
      )
      if (!row || row.isStandby) throw new Error('PostgreSQL is a standby, which may miss the latest writes')
      const { runId, clusterEra, era, slots: ownSlots } = row
      const isOther = runId !== null && clusterEra !== null && (runId !== clusterName || row.hasOthersRecords)
      return {
        other: isOther ? { runId: 'a single server', era: clusterEra } : undefined,
        isClusterRegistered: runId === clusterName,
        own: era === null || ownSlots === null ? undefined : { era, slots: slotsOf(ownSlots) },
        hasMore: row.hasMore,
        hasLess: row.hasLess,
        hadLost: row.hadLost,
        rival: row.rival ?? undefined,
        seen: row.seen,
        invalidations: row.invalidations.map(invalidationOf),
        newest: row.newest ?? undefined,
      }
    },
    beginCluster: (seen) =>
      db.transaction(async (queries) => {
        await queries.unprepared(lock, [])
        const begun = await queries.unprepared(clusterBeginning, [seen ?? null])
        if (begun.length === 0) return
        // Entries of the new eras are loaded later than every write that has a record now.
        await queries.unprepared('DELETE FROM cache_primaries', [])
        await queries.unprepared('DELETE FROM cache_invalidations WHERE slot IS NULL', [])
      }),
    take: ({ server, epoch, slots }, seen, era) =>
      db.transaction(async (queries) => {
        const taken = multirangeOf(slots)
        await queries.unprepared(lock, [])
        const isUnchanged = await queries.unprepared(seenText, [server, taken, [...seen].sort()])
        if (isUnchanged.length === 0) return
        await queries.unprepared(losing, [server, taken])
        await queries.unprepared('DELETE FROM cache_primaries WHERE isempty(slots)', [])
        if (era === undefined) await queries.unprepared(registering, [server, taken, epoch])
        else await queries.unprepared(extending, [server, taken])
      }),
    release: async ({ server, slots }) => {
      await db.query((queries) => queries.unprepared(releasing, [server, multirangeOf(slots)]))
    },
    complete: async (ids, era) => {
      await db.query((queries) => queries.prepared('slot-invalidations-done', completion, [ids, era]))
    },
  }
}

/** Records, in a write's transaction, the entries that it must invalidate: one record for each slot. */
export async function recordSlotInvalidations(
  queries: Queries,
  keys: string[],
): Promise<InvalidationRecord[]> {
  const records = [...Map.groupBy(keys, (key) => slotOf(clusterKeys.redisKey(key, '')))].map(
    ([slot, keys]) => {
      const [userId = noUser, ...more] = keys.filter((key) => usernameOfKey(key) === undefined)
      const names = keys.flatMap((key) => usernameOfKey(key) ?? [])
      return { userId, names, moreUserIds: more.length > 0 ? more : null, slot }
    },
  )
  return queries.prepared<InvalidationRecord>('slot-invalidations', insertion, [JSON.stringify(records)])
}

function multirangeOf(slots: Slots): string {
  return `{${slots.map(([from, to]) => `[${from},${to}]`).join()}}`
}

/** @param multirange in PostgreSQL's normal form, such as `{[0,5461),[6000,6001)}` */
function slotsOf(multirange: string): Slots {
  return [...multirange.matchAll(/\[(\d+),(\d+)\)/g)].map(([, from, end]) => [Number(from), Number(end) - 1])
}
