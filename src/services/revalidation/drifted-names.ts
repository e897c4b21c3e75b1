// Finds cached usernames that differ from the database.
import type { CachedName } from '../../connection/cache/cache.ts'
import type { ServiceContext } from '../context.ts'
import { decodeNameRecord, type NameRow, selectNameRecords, toNameRecord } from '../identity/name-record.ts'

export type DriftedName = {
  cached: CachedName
  /** The user who has the name, according to the database. */
  userId: string | undefined
  /** A write has recorded the invalidation of the entry. */
  isBeingWritten: boolean
}

const comparison = selectNameRecords(
  ', asked.name IN (SELECT unnest(names) FROM cache_invalidations) AS "isBeingWritten"',
)

/**
 * Finds names whose owner or status differs, or whose entry accepts sessions that have ended. An entry that rejects
 * more sessions than the database is accepted, because the database forgets released names after a month.
 * @throws ServiceError `unavailable`, `overloaded`
 */
export async function findDriftedNames(
  { db }: Pick<ServiceContext, 'db'>,
  names: CachedName[],
): Promise<DriftedName[]> {
  if (names.length === 0) return []
  const rows = await db.query((queries) =>
    queries.prepared<NameRow & { isBeingWritten: boolean }>('cached-names', comparison, [
      names.map(({ usernameFolded }) => usernameFolded),
    ]),
  )
  const stored = new Map(rows.map((row) => [row.key, row]))
  return names.flatMap((cached) => {
    const row = stored.get(cached.usernameFolded)
    if (!row) throw new Error('the comparison returned no row for a name')
    const { user, validFromMs = 0 } = toNameRecord(row)
    const known = decodeNameRecord(cached.entry)
    const isSame =
      JSON.stringify(known.user) === JSON.stringify(user) && (known.validFromMs ?? 0) >= validFromMs
    return isSame ? [] : [{ cached, userId: user?.id, isBeingWritten: row.isBeingWritten }]
  })
}
