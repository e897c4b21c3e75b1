// Traces the calls to Redis and S3, and the reads that share a statement. Other statements: postgres/trace-client.ts.
// Loaded by the Node server only if a collector is configured.
import type { Settings } from '../platform/settings.ts'
import { callKind } from '../platform/tracing/span.ts'
import type { Tracer } from '../platform/tracing/tracer.ts'
import type { Connections } from './open.ts'
import type { Database } from './postgres/database.ts'
import { statementKind } from './postgres/trace-client.ts'

/** @returns the connections for requests. Parts within this process make no calls out, so they stay as they are. */
export function traceConnections(
  { cache, attempts, avatars, jobFiles, ...others }: Connections,
  { redisUrl, avatarBucket }: Settings,
  tracer: Tracer,
): Connections {
  const redis = <P extends unknown[], R>(name: string, call: (...parameters: P) => Promise<R>) => {
    const kind = callKind(name, { 'db.system.name': 'redis' })
    return (...parameters: P) => tracer.call(kind, () => call(...parameters))
  }
  const s3 = <P extends unknown[], R>(method: string, call: (...parameters: P) => Promise<R>) => {
    const kind = callKind(`S3/${method}`, { 'rpc.system.name': 'aws-api' })
    return (...parameters: P) => tracer.call(kind, () => call(...parameters))
  }
  return {
    ...others,
    db: traceDatabase(others.db, tracer),
    cache:
      redisUrl === undefined
        ? cache
        : {
            ...cache,
            read: redis('cache read', cache.read),
            fill: redis('cache fill', cache.fill),
            invalidate: redis('cache invalidate', cache.invalidate),
          },
    attempts:
      redisUrl === undefined
        ? attempts
        : {
            ...attempts,
            reserve: redis('attempt reserve', attempts.reserve),
            succeeded: redis('attempt succeeded', attempts.succeeded),
          },
    avatars:
      avatarBucket === undefined
        ? avatars
        : {
            ...avatars,
            put: s3('PutObject', avatars.put),
            remove: s3('DeleteObject', avatars.remove),
            read: s3('GetObject', avatars.read),
          },
    jobFiles:
      avatarBucket === undefined
        ? jobFiles
        : {
            ...jobFiles,
            write: s3('Upload', jobFiles.write),
            remove: s3('DeleteObject', jobFiles.remove),
          },
  }
}

/** The statement of a batched read serves several requests. Each has a span for its own wait instead. */
function traceDatabase(db: Database, tracer: Tracer): Database {
  return {
    ...db,
    of: (share) => traceDatabase(db.of(share), tracer),
    readByKey: (name, text, key) =>
      tracer.call(statementKind(name), () => tracer.detached(() => db.readByKey(name, text, key))),
  }
}
