// Opens PostgreSQL. The driver and Drizzle are loaded after the entry is ready, because they are a good part of a
// function's start, and a cached read needs neither.
import type { ClientBase } from 'pg'
import type { Logger } from '../../platform/logger.ts'
import type { Tracer } from '../../platform/tracing/tracer.ts'
import { openContention } from './contention.ts'
import { type Database, serviceShare } from './database.ts'
import type { Pool } from './pool.ts'

/**
 * @param url a postgres:// URL; see `clientConfig`
 * @param options.tracer traces the statements of requests
 */
export function openPostgres(
  url: string,
  logger: Logger,
  { tracer }: { tracer?: Tracer | undefined } = {},
): Database {
  const contention = openContention()
  let pool: Pool | undefined
  let opening: Promise<Pool> | undefined
  const load = async (): Promise<Pool> => {
    const { openPostgresPool } = await import('./pool.ts')
    const { traceClient } = tracer ? await import('./trace-client.ts') : {}
    const onClient = tracer && traceClient && ((client: ClientBase) => traceClient(client, tracer))
    pool = openPostgresPool(url, logger, { contention, onClient })
    return pool
  }
  const open = (): Promise<Pool> => {
    opening ??= load()
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
