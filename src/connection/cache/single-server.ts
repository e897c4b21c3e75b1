// The cache on one server, which holds all keys.
import type { Logger } from '../../platform/logger.ts'
import type { Database } from '../postgres/database.ts'
import type { CacheServers } from './cache-servers.ts'
import { singleServerKeys } from './redis-keys.ts'
import { textOf } from './redis-replies.ts'
import { openCacheRegistry, recordInvalidation } from './registry.ts'
import { openTrustedServer, UnsupportedCacheServer } from './trust-renewal.ts'

// More keys in one command would delay the commands of other clients.
const keysPerCommand = 500

export function openSingleServer(
  url: string,
  { db, logger, isFunction }: { db: Database; logger: Logger; isFunction: boolean },
): CacheServers {
  const server = openTrustedServer(url, {
    registry: openCacheRegistry(db),
    protocol: {
      identify: async (redis) => runIdOf(textOf(await redis.send('INFO', 'server'))),
      remove: async (redis, era, keys) => {
        for (let at = 0; at < keys.length; at += keysPerCommand)
          await redis.send(
            'UNLINK',
            ...keys.slice(at, at + keysPerCommand).map((key) => singleServerKeys.redisKey(key, era)),
          )
      },
      probe: () => 'probe',
    },
    logger,
    isFunction,
  })
  return {
    of: () => server,
    find: async () => {
      await server.readableEra()
      return server
    },
    keys: singleServerKeys,
    groups: (keys) => [{ keys, slot: undefined }],
    failed: (_server, _key, error) => server.distrust(error),
    reassigned: server.nextRenewal,
    recordInvalidation,
    list: () => [{ name: '', server }],
    isReadable: async () => (await server.readableEra()) !== undefined,
    unsupported: server.unsupported,
    close: server.close,
  }
}

/** @throws UnsupportedCacheServer for a server in cluster mode */
function runIdOf(info: string): string {
  // Valkey calls the field `server_mode` unless it is configured to imitate Redis.
  if (/^(?:redis|server)_mode:cluster/m.test(info))
    throw new UnsupportedCacheServer('REDIS_URL leads to a server in cluster mode. Add ?cluster=true to it.')
  const [, runId] = /^run_id:(\w+)/m.exec(info) ?? []
  if (runId === undefined) throw new Error('the cache reports no run_id')
  return runId
}
