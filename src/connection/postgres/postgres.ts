// Opens PostgreSQL. The driver and Drizzle are loaded after the entry is ready, because they are a good part of a
// function's start, and a cached read needs neither.
import type { Logger } from '../../platform/logger.ts'
import { openContention } from './contention.ts'
import { type Database, serviceShare } from './database.ts'
import type { Pool } from './pool.ts'

/** @param url a postgres:// URL; see `clientConfig` */
export function openPostgres(url: string, logger: Logger): Database {
  const contention = openContention()
  let pool: Pool | undefined
  let opening: Promise<Pool> | undefined
  const open = (): Promise<Pool> => {
    opening ??= import('./pool.ts').then(({ openPostgresPool }) => {
      pool = openPostgresPool(url, logger, contention)
      return pool
    })
    return opening
  }
  // Most first requests need it, at least to establish the trust in the cache. They report a failure.
  setImmediate(() => open().catch(() => {}))
  const view = (share: string): Database => ({
    of: view,
    noteCaller: contention.note,
    readByKey: async (name, text, key) => (pool ?? (await open())).readByKey(name, text, key),
    query: async (work) => (pool ?? (await open())).of(share).query(work),
    transaction: async (work) => (pool ?? (await open())).of(share).transaction(work),
    ownSession: async (work) => (pool ?? (await open())).ownSession(work),
    usage: () => pool?.usage() ?? { connections: 0, busy: 0, waiting: 0 },
    check: async () => (pool ?? (await open())).of(share).check(),
    close: async () => (await opening)?.close(),
  })
  return view(serviceShare)
}
