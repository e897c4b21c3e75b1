// Makes the cache start empty, for a database that was restored: its entries may be newer than the rows.
import type { Database } from '../postgres/database.ts'

/**
 * Unregisters the cache's servers. With its next renewal, each process registers its server under a new era, and reads no
 * entry of an earlier one.
 */
export async function beginNewEras(db: Database): Promise<void> {
  await db.transaction(async (queries) => {
    // In the order of registrations, which lock the primaries first.
    await queries.unprepared('DELETE FROM cache_primaries', [])
    await queries.unprepared('DELETE FROM cache_servers', [])
  })
}
