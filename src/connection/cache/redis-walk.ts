// Walks over the entries in Redis for the revalidation job: scan the keys, read the versions, remove what is stale.
import { uuidPattern } from '../../model/uuid.ts'
import { script } from '../redis/client.ts'
import { type Cache, type CachedName, type CachedVersion, usernameOfKey } from './cache.ts'
import { cacheKey, eraPrefix, redisKey } from './redis-keys.ts'
import { bytesOf, listOf, textOf } from './redis-replies.ts'
import type { TrustedServer } from './trust-renewal.ts'

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
  redis,
  withEra,
}: Pick<TrustedServer, 'redis' | 'withEra'>): Pick<Cache, 'scan' | 'versions' | 'remove' | 'size'> {
  return {
    scan: (from) =>
      withEra(async (era) => {
        // A cursor is valid only on the server that issued it, so a new era starts the walk again.
        const [fromEra, cursor = '0'] = from?.split(':') ?? []
        const start = fromEra === era ? cursor : '0'
        const [next, keys] = listOf(
          await redis.send('SCAN', start, 'MATCH', `${eraPrefix(era)}*`, 'COUNT', scannedMax),
        )
        return {
          keys: listOf(keys).map((key) => cacheKey(textOf(key), era)),
          next: textOf(next) === '0' ? undefined : `${era}:${textOf(next)}`,
        }
      }),
    versions: (keys) =>
      withEra(async (era) => {
        const users: CachedVersion[] = []
        const names: CachedName[] = []
        const batches: string[][] = []
        for (let from = 0; from < keys.length; from += readMax) batches.push(keys.slice(from, from + readMax))
        const reads = batches.map(async (batch) => {
          const entries = listOf(await redis.send('MGET', ...batch.map((key) => redisKey(key, era))))
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
      }),
    remove: (entries) =>
      withEra(async (era) => {
        const others = await redis.run(
          removeScript,
          entries.map(({ key }) => redisKey(key, era)),
          entries.map(({ prefix }) => prefix),
        )
        const kept = new Set(listOf(others))
        return entries.filter((_, at) => !kept.has(at + 1)).map(({ key }) => key)
      }),
    size: () => withEra(async () => Number(await redis.send('DBSIZE'))),
  }
}

/** @returns undefined for a lease, which has no line feed and begins with a letter */
function versionOf(value: Buffer): number | undefined {
  const end = value.indexOf(0x0a)
  const version = end > 0 ? Number(value.toString('latin1', 0, end)) : Number.NaN
  return Number.isInteger(version) ? version : undefined
}
