// Walks over the entries in Redis for the revalidation job: scan the keys, read the versions, remove what is stale.
import { unavailable } from '../../model/errors.ts'
import { uuidPattern } from '../../model/uuid.ts'
import { type RedisClient, script } from '../redis/client.ts'
import { type Cache, type CachedName, type CachedVersion, usernameOfKey } from './cache.ts'
import type { CacheServers } from './cache-servers.ts'
import { eraPrefix } from './redis-keys.ts'
import { bytesOf, listOf, textOf } from './redis-replies.ts'

/** Keys that one SCAN step visits. */
const scannedMax = 500
// Reading whole entries in one MGET costs less than one GETRANGE each. An entry has up to 95 kB, so that forty of them
// stay within the largest reply that the client accepts.
const readMax = 40

// Deletes the keys whose values begin with the given prefixes, and returns the 1-based indexes of the others.
// Entries are small, so DEL takes less time than UNLINK.
const removeScript = script(`
local call, keys, others = redis.call, {}, {}
for at, key in ipairs(KEYS) do
  local prefix = ARGV[at]
  if call('GETRANGE', key, 0, #prefix - 1) == prefix then keys[#keys + 1] = key else others[#others + 1] = at end
end
if #keys > 0 then call('DEL', unpack(keys)) end
return others`)

export function createRedisWalk({
  of,
  keys: { redisKey, cacheKey },
  groups,
  list,
}: CacheServers): Pick<Cache, 'scan' | 'versions' | 'remove' | 'size'> {
  /** Runs work on the server that holds the keys. @throws ServiceError `unavailable` */
  const onServerOf = async <T>(
    [first]: string[],
    work: (redis: RedisClient, era: string) => Promise<T>,
  ): Promise<T> => {
    const server = first === undefined ? undefined : of(first)
    if (!server) throw unavailable('The cache')
    return server.withEra((era) => work(server.redis, era))
  }

  return {
    scan: async (from) => {
      const [fromEra, cursor = '0', ...rest] = from?.split(':') ?? []
      const fromName = rest.join(':')
      const servers = list()
      // The next one, if the server has left the cluster.
      const at = servers.findIndex(({ name }) => name >= fromName)
      const found = servers[at]
      if (!found) {
        if (servers.length === 0) throw unavailable('The cache')
        return { keys: [], next: undefined }
      }
      const { name, server } = found
      return server.withEra(async (era) => {
        // A cursor is valid only on the server that issued it, so a new era starts its walk again.
        const start = fromEra === era && fromName === name ? cursor : '0'
        const [nextCursor, keys] = listOf(
          await server.redis.send('SCAN', start, 'MATCH', `${eraPrefix(era)}*`, 'COUNT', scannedMax),
        )
        const following = servers[at + 1]
        return {
          keys: listOf(keys).map((key) => cacheKey(textOf(key), era)),
          next:
            textOf(nextCursor) !== '0'
              ? `${era}:${textOf(nextCursor)}:${name}`
              : following && `:0:${following.name}`,
        }
      })
    },
    versions: async (keys) => {
      const users: CachedVersion[] = []
      const names: CachedName[] = []
      const batches: string[][] = []
      for (const group of groups(keys))
        for (let from = 0; from < group.keys.length; from += readMax)
          batches.push(group.keys.slice(from, from + readMax))
      const reads = batches.map(async (batch) => {
        const entries = await onServerOf(batch, async (redis, era) =>
          listOf(await redis.send('MGET', ...batch.map((key) => redisKey(key, era)))),
        )
        for (const [at, key] of batch.entries()) {
          const entry = bytesOf(entries[at])
          const version = entry && versionOf(entry)
          if (entry === undefined || version === undefined) continue
          const usernameFolded = usernameOfKey(key)
          if (usernameFolded !== undefined) names.push({ usernameFolded, entry })
          // Skips foreign keys under our prefix.
          else if (uuidPattern.test(key)) users.push({ id: key, version })
        }
      })
      await Promise.all(reads)
      return { users, names }
    },
    remove: async (entries) => {
      const prefixes = new Map(entries.map(({ key, prefix }) => [key, prefix]))
      const removed = groups([...prefixes.keys()]).map(({ keys }) =>
        onServerOf(keys, async (redis, era) => {
          const others = await redis.run(
            removeScript,
            keys.map((key) => redisKey(key, era)),
            keys.map((key) => prefixes.get(key) ?? ''),
          )
          const kept = new Set(listOf(others))
          return keys.filter((_, at) => !kept.has(at + 1))
        }),
      )
      return (await Promise.all(removed)).flat()
    },
    size: async () => {
      const sizes = list().map(({ server }) =>
        server.withEra(async () => Number(await server.redis.send('DBSIZE'))),
      )
      return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
    },
  }
}

/** @returns undefined for a lease, which has no line feed and begins with a letter */
function versionOf(value: Buffer): number | undefined {
  const end = value.indexOf(0x0a)
  const version = end > 0 ? Number(value.toString('latin1', 0, end)) : Number.NaN
  return Number.isInteger(version) ? version : undefined
}
