// One user, from the cache when it can be.

import { type Entry, isNegative, negativeEntry } from '../../connection/cache/cache.ts'
import type { Keyed } from '../../connection/postgres/dataloader.ts'
import { ServiceError } from '../../model/errors.ts'
import type { ServiceContext } from '../context.ts'
import { readEntry, toEntry, toUser, type UserRow, userColumns } from './record.ts'

export type Found = {
  version: number
  /** The user as UTF-8 JSON. */
  json: Uint8Array<ArrayBuffer>
  cache: 'hit' | 'miss' | 'bypass'
}

export type UserReader = {
  /**
   * Never older than the last write that was answered before the call, on any instance.
   * @throws ServiceError `not_found`, `unavailable`, `overloaded`
   */
  get(id: string): Promise<Found>
}

// The hottest statement, prepared. Its plan is the same for all ids.
const usersById = `SELECT u.id AS key, ${userColumns} FROM users u WHERE u.id = ANY($1::uuid[])`

// Writes that keep coming between a load and its joiners send them to the database for themselves.
const joinsMax = 3

export function createUserReader({ db, cache, avatarBaseUrl }: ServiceContext): UserReader {
  /** What a load found, and whether it was still the latest when it was stored. */
  type Load = { entry: Entry; isLatest: boolean }
  const loads = new Map<string, Promise<Load>>()

  const loadEntry = async (id: string): Promise<Entry> => {
    const row = await db.readByKey<UserRow & Keyed>('users-by-id', usersById, id)
    return row ? toEntry(toUser(row, avatarBaseUrl)) : negativeEntry()
  }

  const loadAndFill = async (id: string, lease: string): Promise<Load> => {
    const loaded = await loadEntry(id)
    const stored = await cache.fill(id, lease, loaded)
    return { entry: stored ?? loaded, isLatest: stored !== undefined }
  }

  const find = async (id: string): Promise<{ entry: Entry; cache: Found['cache'] }> => {
    for (let joins = 0; joins < joinsMax; joins++) {
      const place = await cache.read(id)
      if (place.kind === 'hit') return { entry: place.entry, cache: 'hit' }
      if (place.kind === 'bypass') return { entry: await loadEntry(id), cache: 'bypass' }

      const underWay = loads.get(id)
      if (!underWay) {
        const load = loadAndFill(id, place.lease).finally(() => loads.delete(id))
        loads.set(id, load)
        return { entry: (await load).entry, cache: 'miss' }
      }
      // A load that began before this reader came may have missed a write answered since. That it could
      // be stored proves that none came in between; otherwise this reader looks again.
      const load = await underWay
      if (load.isLatest) return { entry: load.entry, cache: 'miss' }
    }
    return { entry: await loadEntry(id), cache: 'miss' }
  }

  return {
    get: async (id) => {
      const { entry, cache } = await find(id)
      if (isNegative(entry)) throw noSuchUser()
      return { ...readEntry(entry), cache }
    },
  }
}

export function noSuchUser(): ServiceError {
  return new ServiceError('not_found', 'There is no such user.')
}
