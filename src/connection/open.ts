// Opens everything that the settings name, once a process; the entries hand it on.
import { join } from 'node:path'
import { openAvatarBucket } from './avatar-bucket.ts'
import { openAvatarDirectory } from './avatar-directory.ts'
import type { AvatarStore } from './avatar-store.ts'
import { type Cache, openProcessCache } from './cache.ts'
import { type EventBus, openEventBus } from './event-bus.ts'
import { type GuessCounter, openProcessGuesses } from './guess-counter.ts'
import type { Logger } from './logger.ts'
import { type Database, openPostgres } from './postgres.ts'
import { openRedisCache } from './redis-cache.ts'
import { openRedisGuesses } from './redis-guesses.ts'
import type { Settings } from './settings.ts'
import { openUserPool, type UserPool } from './user-pool.ts'
import { openUserPoolFunction } from './user-pool-function.ts'

export type Connections = {
  db: Database
  cache: Cache
  guesses: GuessCounter
  avatars: AvatarStore
  avatarBaseUrl: string
  /** Who must be told of changes. */
  outbox: { pool: UserPool | undefined; bus: EventBus | undefined }
  logger: Logger
  close(): Promise<void>
}

/**
 * @param settings with `databaseUrl` filled in: the entry has started the embedded PostgreSQL if it is needed
 * @param options.isFunction the process is frozen between two calls: nothing may run in the background
 */
export function openConnections(
  settings: Settings & { databaseUrl: string },
  logger: Logger,
  { isFunction = false }: { isFunction?: boolean } = {},
): Connections {
  const db = openPostgres(settings.databaseUrl, logger)
  const cache = settings.redisUrl
    ? openRedisCache(settings.redisUrl, { db, logger, isFunction })
    : openProcessCache()
  const guesses = settings.redisUrl ? openRedisGuesses(settings.redisUrl, logger) : openProcessGuesses()
  const avatars = settings.avatarBucket
    ? openAvatarBucket(settings.avatarBucket, { forcePathStyle: settings.avatarPathStyle })
    : openAvatarDirectory(join(settings.dataDirectory, 'avatars'))
  const pool = openPool(settings)
  const bus = settings.eventBus === undefined ? undefined : openEventBus(settings.eventBus)
  return {
    db,
    cache,
    guesses,
    avatars,
    avatarBaseUrl: settings.avatarBaseUrl,
    outbox: { pool, bus },
    logger,
    close: async () => {
      // The cache takes its last records back first.
      await Promise.allSettled([cache.close(), avatars.close(), pool?.close(), bus?.close()])
      guesses.close()
      await db.close()
    },
  }
}

function openPool({ tokens, userPoolFunction }: Settings): UserPool | undefined {
  if (tokens.kind !== 'cognito') return undefined
  return userPoolFunction === undefined
    ? openUserPool(tokens.userPoolId)
    : openUserPoolFunction(userPoolFunction)
}
