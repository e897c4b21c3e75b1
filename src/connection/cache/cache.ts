// The interface of the user cache, and the format of its entries. Leases keep stale entries out: docs/adr/0008.
import type { Queries } from '../postgres/database.ts'

/**
 * A version in decimal, a line feed, and JSON; version 0 without JSON is a negative entry (no such user).
 * Under a user's id: the user as the API returns it. Under a username: the record that resolves callers.
 */
export type Entry = Buffer

export type Lookup =
  | { kind: 'hit'; entry: Entry }
  /** No entry. Pass the lease to `fill` with what is loaded from now on. */
  | { kind: 'miss'; lease: string }
  /** The cache is unavailable or cannot be trusted at the moment. */
  | { kind: 'bypass' }

const usernamePrefix = 'name:'

/** The cache key of a username. A user's cache key is the id. */
export function usernameKey(usernameFolded: string): string {
  return usernamePrefix + usernameFolded
}

/** @returns the folded username; undefined for a user's key */
export function usernameOfKey(key: string): string | undefined {
  return key.startsWith(usernamePrefix) ? key.slice(usernamePrefix.length) : undefined
}

/** The id of one user, or those of a bulk write. */
export type UserIds = string | string[]

/** All keys of these users. */
export function keysOf(ids: UserIds, names: string[]): string[] {
  const ownKeys = typeof ids === 'string' ? [ids] : ids
  return [...ownKeys, ...names.map(usernameKey)]
}

/**
 * A recorded invalidation of a write's entries, or of those in one slot of a cluster.
 * @property slot absent or null: of all of them
 */
export type InvalidationRecord = { id: number; slot?: number | null }

export type Cache = {
  /** @param key a user's id, or a `usernameKey` */
  read(key: string): Promise<Lookup>
  /**
   * Stores the entry if the lease is still valid.
   * @returns the entry under the key now, from this reader or another; undefined if a write ended the lease
   */
  fill(key: string, lease: string, entry: Entry): Promise<Entry | undefined>
  /**
   * Records, in a write's transaction, that the users' entries must be invalidated. Does nothing if invalidating
   * cannot fail.
   * @param ids one user, or up to some thousand
   * @param names folded usernames, from before and after the write
   * @returns the records, to pass to `invalidate` after the commit
   */
  recordInvalidation(queries: Queries, ids: UserIds, names?: string[]): Promise<InvalidationRecord[]>
  /**
   * Removes the entries and ends their leases. Never throws: the records make a failed invalidation happen later.
   * @param records undefined if it is unknown whether the write was committed: then its records stay
   */
  invalidate(ids: UserIds, records: InvalidationRecord[] | undefined, names?: string[]): Promise<void>
  /**
   * Walks the keys that all processes share, some hundreds at a time, each at least once. Empty for a cache in the
   * process.
   * @param from `next` of the previous call; `next` is undefined at the end
   * @throws ServiceError `unavailable`
   */
  scan(from: string | undefined): Promise<{ keys: string[]; next: string | undefined }>
  /** Reads the entries under these keys. @throws ServiceError `unavailable` */
  versions(keys: string[]): Promise<{ users: CachedVersion[]; names: CachedName[] }>
  /**
   * Removes, atomically, each entry that still begins with its prefix. At most some thousand at once.
   * @returns the keys of the removed entries
   * @throws ServiceError `unavailable`
   */
  remove(entries: { key: string; prefix: string | Buffer }[]): Promise<string[]>
  /** The approximate number of entries. @throws ServiceError `unavailable` */
  size(): Promise<number>
  /** Rejects unless the cache is in use now. */
  check(): Promise<void>
  close(): Promise<void>
}

export type CachedVersion = { id: string; version: number }
export type CachedName = { usernameFolded: string; entry: Entry }

/** An hour, plus or minus a tenth, so that entries stored together do not expire together. */
export function entryTtlMs(): number {
  return 3_600_000 * (0.9 + Math.random() * 0.2)
}
export const negativeTtlMs = 10_000
/** The time that a reader has for its load. */
export const leaseTtlMs = 5_000

const negative = Buffer.from('0\n')

export function negativeEntry(): Entry {
  return negative
}

export function isNegative(entry: Entry): boolean {
  return entry[0] === 0x30
}
