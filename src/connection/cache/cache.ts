// The cache of users: one small interface, kept in Redis or, when none is configured, in the process.
// Leases keep stale entries out of it: docs/adr/0008-leases-in-the-cache.md.
import { LRUCache } from 'lru-cache'
import type { Queries } from '../postgres/database.ts'

/**
 * In a user's place: the version, a line feed, and the JSON that is answered; version 0 for an id that is unknown.
 * In a username's place: the same, with the JSON that `callers.ts` makes.
 */
export type Entry = Buffer

export type Lookup =
  | { kind: 'hit'; entry: Entry }
  /** Nothing there: what is loaded from now on may be offered to `fill` with this lease. */
  | { kind: 'miss'; lease: string }
  /** The cache cannot be trusted or reached at the moment. */
  | { kind: 'bypass' }

const nameMark = 'name:'

/** The place of what is known of a username, which `read` and `fill` take like a user's id. */
export function usernameKey(usernameFolded: string): string {
  return nameMark + usernameFolded
}

/** @returns the folded username; undefined for a user's place */
export function usernameOfKey(place: string): string | undefined {
  return place.startsWith(nameMark) ? place.slice(nameMark.length) : undefined
}

/** A write removes, by one record, the user's place and those of its username from before and after. */
export type Cache = {
  read(id: string): Promise<Lookup>
  /**
   * Stores `entry` if the lease still holds.
   * @returns what is in the place now, when that is an entry (this one or another reader's);
   *   undefined when a write came in between
   */
  fill(id: string, lease: string, entry: Entry): Promise<Entry | undefined>
  /**
   * Records, in a write's transaction, that the user must be removed. Where removing cannot fail, nothing.
   * @param names folded usernames whose places go too
   * @returns what to hand to `invalidate` after the commit
   */
  recordInvalidation(queries: Queries, id: string, names?: string[]): Promise<number | undefined>
  /** Removes what is stored and ends every lease. Never throws; what could not be removed will be. */
  invalidate(id: string, noted: number | undefined, names?: string[]): Promise<void>
  /**
   * The places that all processes share, some hundreds at a time, each at least once; nothing where they are
   * this process's alone. Bounded in memory however many there are.
   * @param from what an earlier answer gave as `next`, which is undefined at the end
   * @throws ServiceError `unavailable`
   */
  scan(from: string | undefined): Promise<{ places: string[]; next: string | undefined }>
  /** What the entries in these places say. @throws ServiceError `unavailable` */
  versions(places: string[]): Promise<{ users: CachedVersion[]; names: CachedName[] }>
  /**
   * Removes the entries that still begin as given, each in one step; some thousand at most.
   * @returns the places of those that it has removed
   * @throws ServiceError `unavailable`
   */
  remove(entries: { place: string; begin: string | Buffer }[]): Promise<string[]>
  /** How many entries there are, about. @throws ServiceError `unavailable` */
  size(): Promise<number>
  /** Rejects unless the cache answers now. */
  check(): Promise<void>
  close(): Promise<void>
}

export type CachedVersion = { id: string; version: number }
export type CachedName = { usernameFolded: string; entry: Entry }

/** An hour, give or take a tenth, so that entries made together do not expire together. */
export function entryTtlMs(): number {
  return 3_600_000 * (0.9 + Math.random() * 0.2)
}
/** How long an unknown id is remembered. */
export const negativeTtlMs = 10_000
/** How long a reader has for its load. */
export const leaseTtlMs = 5_000

const unknown = Buffer.from('0\n')

/** The entry that remembers that there is no such user. */
export function negativeEntry(): Entry {
  return unknown
}

export function isNegative(entry: Entry): boolean {
  return entry[0] === 0x30
}

/** The embedded default. It serves one process only. */
export function openProcessCache(): Cache {
  const places = new LRUCache<string, Entry | string>({
    // Not by their number, for which room would be made at once: that takes as long as a read of the database.
    maxSize: 128 * 1024 * 1024,
    sizeCalculation: (place) => place.length + 200,
  })
  let leases = 0
  return {
    read: async (id) => {
      const place = places.get(id)
      if (typeof place === 'string') return { kind: 'miss', lease: place }
      if (place !== undefined) return { kind: 'hit', entry: place }
      const lease = String(++leases)
      places.set(id, lease, { ttl: leaseTtlMs })
      return { kind: 'miss', lease }
    },
    fill: async (id, lease, entry) => {
      const place = places.get(id)
      if (place !== undefined && typeof place !== 'string') return place
      if (place !== lease) return undefined
      places.set(id, entry, { ttl: isNegative(entry) ? negativeTtlMs : entryTtlMs() })
      return entry
    },
    recordInvalidation: async () => undefined,
    invalidate: async (id, _noted, names = []) => {
      for (const place of [id, ...names.map(usernameKey)]) places.delete(place)
    },
    scan: async () => ({ places: [], next: undefined }),
    versions: async () => ({ users: [], names: [] }),
    remove: async () => [],
    size: async () => 0,
    check: async () => {},
    close: async () => places.clear(),
  }
}
