// Loads the code for a cluster at run time, because a function with a single server must start without it.
import type { Logger } from '../../platform/logger.ts'
import type { Database } from '../postgres/database.ts'
import type { CacheServers } from './cache-servers.ts'
import { clusterKeys } from './redis-keys.ts'

/** Until the code is loaded, the server of every key is unknown. */
export function loadClusterServers(
  url: string,
  options: { db: Database; logger: Logger; isFunction: boolean },
): CacheServers {
  let loaded: CacheServers | undefined
  const loading = import('./cluster-servers.ts').then(({ openClusterServers }) => {
    loaded = openClusterServers(url, options)
    return loaded
  })
  return {
    of: (key) => loaded?.of(key),
    find: async (key) => (await loading).find(key),
    keys: clusterKeys,
    groups: (keys) => loaded?.groups(keys) ?? [],
    failed: (server, key, error) => loaded?.failed(server, key, error),
    reassigned: async (key) => (await loading).reassigned(key),
    recordInvalidation: async (queries, ids, names) =>
      (await loading).recordInvalidation(queries, ids, names),
    list: () => loaded?.list() ?? [],
    isReadable: async () => (await loading).isReadable(),
    unsupported: () => loaded?.unsupported(),
    close: async () => (await loading).close(),
  }
}
