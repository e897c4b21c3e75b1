// Finds the record of the person behind a token, so that a blocked user's token is refused.
import { LRUCache } from 'lru-cache'
import { isUnknown } from '../connection/cache.ts'
import type { Claims } from '../connection/claims.ts'
import type { Connections } from '../connection/open.ts'
import { ServiceError } from '../model/errors.ts'
import { fold, isPoolName } from '../model/text.ts'
import { type Caller, roleOf } from './access.ts'
import { readEntry } from './users/record.ts'

type OwnRecord = { id: string; username: string; status: string }

const userByName = 'SELECT id, username, status FROM users WHERE username_folded = $1'

// A block must be felt within a second on every instance; half of that is left for a slow look-up.
const knownMs = 500

export type CallerLookup = {
  /**
   * @returns undefined when the caller's record is blocked
   * @throws ServiceError `unavailable` when nobody can tell: a token is then not taken
   */
  find(claims: Claims): Promise<Caller | undefined>
}

export function createCallerLookup({
  db,
  cache,
  outbox,
}: Pick<Connections, 'db' | 'cache' | 'outbox'>): CallerLookup {
  const known = new LRUCache<string, Promise<OwnRecord | undefined>>({ max: 10_000, ttl: knownMs })
  // Whose record was found where, for the time when the database is away.
  const ids = new LRUCache<string, string>({ max: 10_000 })

  const load = async (folded: string): Promise<OwnRecord | undefined> => {
    try {
      const [row] = await db.query((queries) =>
        queries.named<OwnRecord>('user-by-name', userByName, [folded]),
      )
      if (row) ids.set(folded, row.id)
      return row
    } catch (error) {
      const record = error instanceof ServiceError && error.code === 'unavailable' && (await cached(folded))
      if (record) return record
      throw error
    }
  }

  // Nobody can be blocked while the database is away, so the cache is right. The database goes first
  // all the same: it is right also where a server that blocks somebody cannot reach the cache.
  const cached = async (folded: string): Promise<OwnRecord | undefined> => {
    const id = ids.get(folded)
    const place = id === undefined ? undefined : await cache.read(id)
    if (place?.kind !== 'hit' || isUnknown(place.entry)) return undefined
    const user: OwnRecord = JSON.parse(Buffer.from(readEntry(place.entry).json).toString())
    return fold(user.username) === folded ? user : undefined
  }

  // A token that was seen before brings the same claims: folding a name costs as much as finding it.
  const names = new WeakMap<Claims, Name>()
  const nameOf = (claims: Claims): Name => {
    let name = names.get(claims)
    if (!name) {
      name = readName(claims.username)
      names.set(claims, name)
    }
    return name
  }

  return {
    find: async (claims) => {
      const name = nameOf(claims)
      if (name === 'none') return { role: roleOf(claims, false), userId: undefined }
      const { folded, exact } = name
      let record = known.get(folded)
      if (!record) {
        record = load(folded)
        // The time runs from before the look-up: what it finds is no older than that.
        known.set(folded, record)
        record.catch(() => known.delete(folded))
      }
      const found = await record
      // A pool that tells Ada from ada must not let either in while the record is blocked …
      if (found?.status === 'BLOCKED') return undefined
      // … nor let one of them have the other's record. Our own pool does not: it may hold the name in any case.
      const owns =
        found !== undefined &&
        (found.username === exact || (outbox.pool !== undefined && isPoolName(found.username, exact)))
      return { role: roleOf(claims, owns), userId: owns ? found.id : undefined }
    },
  }
}

type Name = { folded: string; exact: string } | 'none'

function readName(username: string | undefined): Name {
  // The database refuses NUL, and no username holds one.
  if (username === undefined || username.includes('\0') || !username.isWellFormed()) return 'none'
  return { folded: fold(username), exact: username.normalize('NFKC') }
}

/** How a username that was given up is remembered. */
export function usernameHash(usernameFolded: string): Buffer {
  // Loaded here: it takes its time, and few requests need it.
  return process.getBuiltinModule('node:crypto').hash('sha256', usernameFolded, 'buffer')
}
