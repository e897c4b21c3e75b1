// The servers that hold the cache: a single one, or the primaries of a cluster.
import type { Queries } from '../postgres/database.ts'
import type { InvalidationRecord } from './cache.ts'
import type { RedisKeys } from './redis-keys.ts'
import type { TrustedServer, UnsupportedCacheServer } from './trust-renewal.ts'

/** Keys that one command may name. */
export type KeyGroup = { keys: string[]; slot: number | undefined }

export type CacheServers = {
  /** The server that holds the key; undefined while it is unknown. */
  of(key: string): TrustedServer | undefined
  /**
   * As `of`, after a function has renewed an expired trust. Other processes renew in the background, so it only
   * returns `of` there.
   */
  find(key: string): Promise<TrustedServer | undefined>
  keys: RedisKeys
  groups(keys: string[]): KeyGroup[]
  /** Ends the trust in a server after a failed command, or the assignment of a key that it does not hold. */
  failed(server: TrustedServer, key: string, error: unknown): void
  /** Resolves when the key's server may have changed. */
  reassigned(key: string): Promise<void>
  recordInvalidation(queries: Queries, ids: string | string[], names: string[]): Promise<InvalidationRecord[]>
  /** In the order of their names. */
  list(): { name: string; server: TrustedServer }[]
  /** Whether every key can be read. */
  isReadable(): Promise<boolean>
  /** The reason, if the servers can never be used. */
  unsupported(): UnsupportedCacheServer | undefined
  close(): Promise<void>
}
