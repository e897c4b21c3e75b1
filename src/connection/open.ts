// Opens all connections that the settings name. The entries call it once a process and hand the result on.
import { join } from 'node:path'
import type { Logger } from '../platform/logger.ts'
import type { Settings } from '../platform/settings.ts'
import type { Tracer } from '../platform/tracing/tracer.ts'
import { type AttemptThrottle, openProcessAttemptThrottle } from './attempts/attempt-throttle.ts'
import { openRedisAttemptThrottle } from './attempts/redis-attempt-throttle.ts'
import { openAvatarBucket } from './avatars/avatar-bucket.ts'
import { openAvatarDirectory } from './avatars/avatar-directory.ts'
import type { AvatarStore } from './avatars/avatar-store.ts'
import type { Cache } from './cache/cache.ts'
import { openProcessCache } from './cache/process-cache.ts'
import { openRedisCache } from './cache/redis-cache.ts'
import { openUserPool, type UserPool } from './cognito/user-pool.ts'
import { openUserPoolFunction } from './cognito/user-pool-function.ts'
import { type EventBus, openEventBus } from './events/event-bus.ts'
import { openJobFileBucket } from './job-files/job-file-bucket.ts'
import { openJobFileDirectory } from './job-files/job-file-directory.ts'
import type { JobFileStore } from './job-files/job-file-store.ts'
import type { Database } from './postgres/database.ts'
import { openPostgres } from './postgres/postgres.ts'

export type Connections = {
  db: Database
  cache: Cache
  attempts: AttemptThrottle
  avatars: AvatarStore
  avatarBaseUrl: string
  jobFiles: JobFileStore
  /** The targets that changes are delivered to. */
  outbox: { pool: UserPool | undefined; bus: EventBus | undefined }
  logger: Logger
  close(): Promise<void>
}

/**
 * @param settings with a `databaseUrl`, since the entry starts the embedded PostgreSQL if needed
 * @param options.isFunction a Lambda function, which is frozen between two calls and must not work in the background
 * @param options.tracer traces statements; `traceConnections` traces the other calls
 */
export function openConnections(
  settings: Settings & { databaseUrl: string },
  logger: Logger,
  { isFunction = false, tracer }: { isFunction?: boolean; tracer?: Tracer | undefined } = {},
): Connections {
  const db = openPostgres(settings.databaseUrl, logger, {
    replicaUrl: settings.databaseReadUrl,
    isFunction,
    tracer,
  })
  const cache = settings.redisUrl
    ? openRedisCache(settings.redisUrl, { db, logger, isFunction })
    : openProcessCache()
  const attempts = settings.redisUrl
    ? openRedisAttemptThrottle(settings.redisUrl, logger)
    : openProcessAttemptThrottle()
  const avatars = settings.avatarBucket
    ? openAvatarBucket(settings.avatarBucket, { forcePathStyle: settings.avatarPathStyle })
    : openAvatarDirectory(join(settings.dataDirectory, 'avatars'))
  const jobFiles = settings.avatarBucket
    ? openJobFileBucket(settings.avatarBucket, {
        forcePathStyle: settings.avatarPathStyle,
        // A function takes and sends a few megabytes only.
        isDirect: isFunction,
      })
    : openJobFileDirectory(join(settings.dataDirectory, 'jobs'))
  const pool = openConfiguredUserPool(settings)
  const bus = settings.eventBus === undefined ? undefined : openEventBus(settings.eventBus)
  return {
    db,
    cache,
    attempts,
    avatars,
    avatarBaseUrl: settings.avatarBaseUrl,
    jobFiles,
    outbox: { pool, bus },
    logger,
    close: async () => {
      // Before the database, because closing the cache deletes its completed invalidation records.
      await Promise.allSettled([
        cache.close(),
        avatars.close(),
        jobFiles.close(),
        pool?.close(),
        bus?.close(),
      ])
      attempts.close()
      await db.close()
    },
  }
}

function openConfiguredUserPool({ tokens, userPoolFunction }: Settings): UserPool | undefined {
  if (tokens.kind !== 'cognito') return undefined
  return userPoolFunction === undefined
    ? openUserPool(tokens.userPoolId)
    : openUserPoolFunction(userPoolFunction)
}
