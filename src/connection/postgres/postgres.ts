// PostgreSQL, as services see it. The driver and Drizzle are loaded behind what an entry needs to be ready: they are
// a good part of a function's start, and a read that the cache answers needs neither.
import type { Logger } from '../../platform/logger.ts'
import type { Database } from './database.ts'
import type { Pool } from './pool.ts'

/** The share of work that is not done for a caller: background jobs and probes. */
const serviceShare = 'service'

/** @param url a postgres:// URL; see `clientConfig` */
export function openPostgres(url: string, logger: Logger): Database {
  let pool: Pool | undefined
  let opening: Promise<Pool> | undefined
  const open = (): Promise<Pool> => {
    opening ??= import('./pool.ts').then(({ openPool }) => {
      pool = openPool(url, logger)
      return pool
    })
    return opening
  }
  // As soon as the entry is ready: what comes first will mostly need it, if only to be sure of the cache.
  // Whoever does is told if it fails.
  setImmediate(() => open().catch(() => {}))
  const view = (share: string): Database => ({
    of: view,
    readByKey: async (name, text, key) => (pool ?? (await open())).readByKey(name, text, key),
    query: async (work) => (pool ?? (await open())).of(share).query(work),
    transaction: async (work) => (pool ?? (await open())).of(share).transaction(work),
    check: async () => (pool ?? (await open())).of(share).check(),
    close: async () => (await opening)?.close(),
  })
  return view(serviceShare)
}
