// Finds the record of the person behind a token, so that a token stops when its user is blocked or changes the
// password: on every server, within a second. What is known of a username is a place in the cache like a user's,
// under the same leases and removals (cache.ts), so that it is no older than the last write that was answered;
// the database is asked when it is not there. When neither can say, no token of a person is taken: a write would
// need the database, and a read one of the two.
import { LRUCache } from 'lru-cache'
import { type CachedName, type Entry, usernameKey } from '../../connection/cache/cache.ts'
import type { Connections } from '../../connection/open.ts'
import type { Queries } from '../../connection/postgres/database.ts'
import type { Keyed } from '../../connection/postgres/dataloader.ts'
import type { Claims } from '../../connection/tokens/claims.ts'
import { invalidToken } from '../../model/errors.ts'
import { fold, isSamePoolUsername } from '../../model/text.ts'
import { canBeUsername } from '../../model/username.ts'
import { metricFields } from '../../platform/metrics.ts'
import { readEntry } from '../users/record.ts'
import { type Caller, roleOf } from './access.ts'

/** What is known of a username. */
type NameRecord = {
  /** Whose it is. */
  user?: { id: string; username: string; isBlocked: boolean }
  /** Who signed in before must do so again: the last block or change of password, or when the name was given up. */
  validFromMs?: number
}

// A block must be felt within a second on every instance; half of that is left for a slow look-up.
const knownMs = 500
// Of so many sessions it is known when they were used last here.
const sessionsMax = 10_000

// Counted as sizes: with `max` room for all of them would be made at the start, which then takes longer.
const counted = (max: number) => ({ maxSize: max, sizeCalculation: () => 1 })

export type CallerLookup = {
  /**
   * @returns undefined when the caller's record is blocked, or the token is older than the last block or change
   *   of password
   * @throws ServiceError `unavailable` when nobody can tell: a token is then not taken
   */
  find(claims: Claims): Promise<Caller | undefined>
  /**
   * Finds the caller again, in the transaction of a change, which sees all that was committed before: see
   * docs/adr/0001-check-the-caller-in-the-committing-transaction.md.
   * @throws ServiceError `unauthenticated` when the token has ended, or no longer gives what the request began with
   */
  confirm(queries: Queries, caller: Caller): Promise<void>
  /** Counts the commit of the caller's change as the last use of the session. */
  committed(caller: Caller): void
}

const nameColumns =
  'u.id, u.username, u.status, greatest(u.sessions_valid_from, f.released_at) AS "validFrom"'

const namesText = (more = '') => `
SELECT asked.name AS key, ${nameColumns} ${more}
FROM unnest($1::text[]) AS asked (name)
LEFT JOIN users u ON u.username_folded = asked.name
LEFT JOIN released_usernames f ON f.username_sha256 = sha256(convert_to(asked.name, 'UTF8'))`
const callersByName = namesText()

// Everything in one statement, which sees one state of the database.
const comparison = namesText(
  ', asked.name IN (SELECT unnest(names) FROM cache_invalidations) AS "isBeingWritten"',
)

type NameRow = Keyed & {
  id: string | null
  username: string | null
  status: string | null
  validFrom: Date | null
}

function toRecord({ id, username, status, validFrom }: NameRow): NameRecord {
  return {
    ...(id !== null && username !== null && { user: { id, username, isBlocked: status === 'BLOCKED' } }),
    ...(validFrom && { validFromMs: validFrom.getTime() }),
  }
}

function readRecord(entry: Entry): NameRecord {
  return JSON.parse(Buffer.from(readEntry(entry).json).toString())
}

export type DriftedName = {
  cached: CachedName
  /** Of whom the name is, by the database. */
  userId: string | undefined
  /** A write has recorded that it will remove the entry. */
  isBeingWritten: boolean
}

/**
 * Which names have another owner or standing than the cache says, or would let in who signed in too early. Who
 * is asked to sign in after a time that the database has forgotten is not among them: it forgets after months.
 */
export async function findDriftedNames(
  { db }: Pick<Connections, 'db'>,
  names: CachedName[],
): Promise<DriftedName[]> {
  if (names.length === 0) return []
  const rows = await db.query((queries) =>
    queries.prepared<NameRow & { isBeingWritten: boolean }>('cached-names', comparison, [
      names.map(({ usernameFolded }) => usernameFolded),
    ]),
  )
  const stored = new Map(rows.map((row) => [row.key, row]))
  return names.flatMap((cached) => {
    const row = stored.get(cached.usernameFolded)
    if (!row) throw new Error('the database has not told of a name')
    const { user, validFromMs = 0 } = toRecord(row)
    const known = readRecord(cached.entry)
    const isSame =
      JSON.stringify(known.user) === JSON.stringify(user) && (known.validFromMs ?? 0) >= validFromMs
    return isSame ? [] : [{ cached, userId: user?.id, isBeingWritten: row.isBeingWritten }]
  })
}

export function createCallerLookup({
  db,
  cache,
  outbox,
  logger,
}: Pick<Connections, 'db' | 'cache' | 'outbox' | 'logger'>): CallerLookup {
  const known = new LRUCache<string, Promise<NameRecord>>({ ...counted(10_000), ttl: knownMs })
  const usedAtMs = new LRUCache<string, number>(counted(sessionsMax))

  /**
   * Tells by how much a session that was used here has outlived its end. The end is the moment that is stored with
   * the block or the change of password; that is answered a little later, so the figure is never too small.
   */
  const reportEnd = (session: string, endedAtMs: number | undefined): void => {
    const lastAtMs = usedAtMs.get(session)
    if (lastAtMs === undefined || endedAtMs === undefined) return
    // Once: whoever goes on trying with the token is not told of again.
    usedAtMs.delete(session)
    const SessionOutlived = Math.max(0, lastAtMs - endedAtMs)
    logger.info('session ended', metricFields('sessionEnd', { SessionOutlived }))
  }

  const load = async (folded: string): Promise<NameRecord> => {
    const row = await db.readByKey<NameRow>('callers-by-name', callersByName, folded)
    return row ? toRecord(row) : {}
  }

  const look = async (folded: string): Promise<NameRecord> => {
    const place = await cache.read(usernameKey(folded))
    if (place.kind === 'hit') return readRecord(place.entry)
    const record = await load(folded)
    if (place.kind === 'miss') await cache.fill(usernameKey(folded), place.lease, toNameEntry(record))
    return record
  }

  // A token that was seen before brings the same claims: folding a name costs as much as finding it.
  const names = new WeakMap<Claims, Name>()
  const nameOf = (claims: Claims): Name => {
    let name = names.get(claims)
    if (!name) {
      name = readName(claims)
      names.set(claims, name)
    }
    return name
  }

  /** @returns the caller of a token, by what is known of its name; undefined when the token has ended */
  const judge = (claims: Claims, name: PersonName, { user, validFromMs }: NameRecord): Caller | undefined => {
    const { key, exact, session } = name
    // A pool that tells Ada from ada must not let either in while the record is blocked …
    if (user?.isBlocked || !isYoungEnough(claims, validFromMs)) {
      reportEnd(session, validFromMs)
      return undefined
    }
    // … nor let one of them have the other's record. Our own pool does not: it may hold the name in any case.
    const owns =
      user !== undefined &&
      (user.username === exact || (outbox.pool !== undefined && isSamePoolUsername(user.username, exact)))
    return { role: roleOf(claims, owns), userId: owns ? user.id : undefined, key, claims }
  }

  return {
    find: async (claims) => {
      const name = nameOf(claims)
      if (!('folded' in name))
        return { role: roleOf(claims, false), userId: undefined, key: name.key, claims }
      const { folded } = name
      let record = known.get(folded)
      if (!record) {
        record = look(folded)
        // The time runs from before the look-up: what it finds is no older than that.
        known.set(folded, record)
        record.catch(() => known.delete(folded))
      }
      const caller = judge(claims, name, await record)
      if (caller) usedAtMs.set(name.session, Date.now())
      return caller
    },
    confirm: async (queries, caller) => {
      const { claims, role, userId } = caller
      if (claims.expiresAtMs !== undefined && claims.expiresAtMs <= Date.now()) throw invalidToken()
      const name = nameOf(claims)
      if (!('folded' in name)) return
      const [row] = await queries.prepared<NameRow>('callers-by-name', callersByName, [[name.folded]])
      const now = judge(claims, name, row ? toRecord(row) : {})
      if (now?.role !== role || (userId !== undefined && now.userId !== userId)) throw invalidToken()
    },
    committed: ({ claims }) => {
      const name = nameOf(claims)
      if ('folded' in name) usedAtMs.set(name.session, Date.now())
    },
  }
}

/**
 * The person or client that a token names; its prefix keeps the `key` of a person and of a machine client from being the same.
 * `session` tells those of one user apart: the tokens of one say the same time of signing in.
 */
type Name = { key: string } | PersonName
type PersonName = { key: string; folded: string; exact: string; session: string }

function readName({ username, client, signedInAtMs }: Claims): Name {
  if (username === undefined || !canBeUsername(username))
    return { key: client === undefined ? 'nobody' : `client:${client}` }
  const folded = fold(username)
  const exact = username.normalize('NFKC')
  return { key: `user:${folded}`, folded, exact, session: `${folded} ${signedInAtMs}` }
}

function isYoungEnough({ signedInAtMs }: Claims, validFromMs: number | undefined): boolean {
  return validFromMs === undefined || (signedInAtMs !== undefined && signedInAtMs >= validFromMs)
}

/** Version 0 has the cache remember a name that is nobody's for a short while only. */
function toNameEntry(record: NameRecord): Entry {
  return Buffer.from(`${record.user ? 1 : 0}\n${JSON.stringify(record)}`)
}

/** How a username that was given up is remembered. */
export function usernameHash(usernameFolded: string): Buffer {
  // Loaded here: it takes its time, and few requests need it.
  return process.getBuiltinModule('node:crypto').hash('sha256', usernameFolded, 'buffer')
}
