// Opens PostgreSQL. The driver and Drizzle are loaded after the entry is ready, because they are a good part of a
// function's start, and a cached read needs neither.
import type { ClientBase } from 'pg'
import type { Logger } from '../../platform/logger.ts'
import type { Tracer } from '../../platform/tracing/tracer.ts'
import { openContention } from './contention.ts'
import { type Database, serviceShare } from './database.ts'
import type { Pool } from './pool.ts'
import type { Replica } from './replica.ts'

/**
 * @param url a postgres:// URL; see `clientConfig`
 * @param options.replicaUrl a read replica of it
 * @param options.isFunction a Lambda function, which must not work in the background
 * @param options.tracer traces the statements of requests
 */
export function openPostgres(
  url: string,
  logger: Logger,
  {
    replicaUrl,
    isFunction = false,
    tracer,
  }: { replicaUrl?: string | undefined; isFunction?: boolean; tracer?: Tracer | undefined } = {},
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
  let replica: Promise<Replica> | undefined
  const openReplica = (): Promise<Replica> | undefined => {
    if (replicaUrl !== undefined)
      replica ??= import('./replica.ts').then(({ openReplica }) =>
        openReplica(replicaUrl, { primary: view(serviceShare), logger, isFunction, tracer }),
      )
    return replica
  }
  setImmediate(() => {
    // Most first requests need it, at least to establish the trust in the cache. They report a failure.
    open().catch(() => {})
    // Its lag is known only after some heartbeats.
    if (!isFunction) openReplica()?.catch(() => {})
  })
  const view = (share: string): Database => ({
    of: view,
    noteCaller: contention.note,
    readByKey: async (name, text, key) => (pool ?? (await open())).readByKey(name, text, key),
    query: async (work) => (pool ?? (await open())).of(share).query(work),
    readStale: async (secondsMax, work) => {
      const stale = await (await openReplica())?.read({ share, secondsMax, work })
      return stale ?? { value: await (pool ?? (await open())).of(share).query(work), ageSeconds: undefined }
    },
    readReplicaState: async () => (await openReplica())?.state(),
    transaction: async (work) => (pool ?? (await open())).of(share).transaction(work),
    ownSession: async (work) => (pool ?? (await open())).ownSession(work),
    usage: () => pool?.usage() ?? { connections: 0, busy: 0, waiting: 0 },
    check: async () => (pool ?? (await open())).of(share).check(),
    close: async () => {
      await (await replica)?.close()
      await (await opening)?.close()
    },
  })
  return view(serviceShare)
}
