// The embedded cache, in the memory of one process.
import { LRUCache } from 'lru-cache'
import { type Cache, type Entry, entryTtlMs, isNegative, keysOf, leaseTtlMs, negativeTtlMs } from './cache.ts'

/** Serves one process only. */
export function openProcessCache(): Cache {
  /** An entry is a buffer, a lease is a string. */
  const values = new LRUCache<string, Entry | string>({
    // Bounded by size: with `max`, LRUCache would allocate all slots at once, which takes as long as a database read.
    maxSize: 128 * 1024 * 1024,
    sizeCalculation: (value) => value.length + 200,
  })
  let leases = 0
  return {
    read: async (key) => {
      const value = values.get(key)
      if (typeof value === 'string') return { kind: 'miss', lease: value }
      if (value !== undefined) return { kind: 'hit', entry: value }
      const lease = String(++leases)
      values.set(key, lease, { ttl: leaseTtlMs })
      return { kind: 'miss', lease }
    },
    fill: async (key, lease, entry) => {
      const value = values.get(key)
      if (value !== undefined && typeof value !== 'string') return value
      if (value !== lease) return undefined
      values.set(key, entry, { ttl: isNegative(entry) ? negativeTtlMs : entryTtlMs() })
      return entry
    },
    recordInvalidation: async () => [],
    invalidate: async (ids, _records, names = []) => {
      for (const key of keysOf(ids, names)) values.delete(key)
    },
    scan: async () => ({ keys: [], next: undefined }),
    versions: async () => ({ users: [], names: [] }),
    remove: async () => [],
    size: async () => 0,
    check: async () => {},
    close: async () => values.clear(),
  }
}
