// Reads one user, from the cache if possible.
import { type Entry, isNegative, negativeEntry } from '../../connection/cache/cache.ts'
import type { Keyed } from '../../connection/postgres/dataloader.ts'
import { ServiceError } from '../../model/errors.ts'
import { decodeEntry, encodeEntry } from '../cache-entry.ts'
import type { ServiceContext } from '../context.ts'
import { toUser, type UserRow, userColumns } from './user-row.ts'

export type Found = {
  version: number
  /** The user as UTF-8 JSON. */
  json: Uint8Array<ArrayBuffer>
  cache: 'hit' | 'miss' | 'bypass'
}

export type UserReader = {
  /**
   * The result is never older than the last write answered before the call, on any server.
   * @throws ServiceError `not_found`, `unavailable`, `overloaded`
   */
  get(id: string): Promise<Found>
}

const usersById = `SELECT u.id AS key, ${userColumns} FROM users u WHERE u.id = ANY($1::uuid[])`

// If concurrent writes keep invalidating a shared load, stop waiting for it and read the database directly.
const joinsMax = 3

export function createUserReader({ db, cache, avatarBaseUrl }: ServiceContext): UserReader {
  /** The result of a load; it is the latest if no write came in before it was stored. */
  type Load = { entry: Entry; isLatest: boolean }
  const loads = new Map<string, Promise<Load>>()

  const loadEntry = async (id: string): Promise<Entry> => {
    const row = await db.readByKey<UserRow & Keyed>('users-by-id', usersById, id)
    return row ? encodeEntry(row.version, toUser(row, avatarBaseUrl)) : negativeEntry()
  }

  const loadAndFill = async (id: string, lease: string): Promise<Load> => {
    const loaded = await loadEntry(id)
    const stored = await cache.fill(id, lease, loaded)
    return { entry: stored ?? loaded, isLatest: stored !== undefined }
  }

  const find = async (id: string): Promise<{ entry: Entry; cache: Found['cache'] }> => {
    for (let joins = 0; joins < joinsMax; joins++) {
      const lookup = await cache.read(id)
      if (lookup.kind === 'hit') return { entry: lookup.entry, cache: 'hit' }
      if (lookup.kind === 'bypass') return { entry: await loadEntry(id), cache: 'bypass' }

      const concurrent = loads.get(id)
      if (!concurrent) {
        const load = loadAndFill(id, lookup.lease).finally(() => loads.delete(id))
        loads.set(id, load)
        return { entry: (await load).entry, cache: 'miss' }
      }
      // This load started before the request, so it may miss a write answered since. If it could be stored,
      // there was no such write; otherwise look again.
      const load = await concurrent
      if (load.isLatest) return { entry: load.entry, cache: 'miss' }
    }
    return { entry: await loadEntry(id), cache: 'miss' }
  }

  return {
    get: async (id) => {
      const { entry, cache } = await find(id)
      if (isNegative(entry)) throw noSuchUser()
      return { ...decodeEntry(entry), cache }
    },
  }
}

export function noSuchUser(): ServiceError {
  return new ServiceError('not_found', 'There is no user with this id.')
}
