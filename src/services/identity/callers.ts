// Finds the user behind a token, so that every server rejects the token within a second of a block or a new password.
// Usernames are cached like users, under the same leases and invalidations (connection/cache/cache.ts).
// If neither the cache nor the database answers, every token of a person is rejected.
import { LRUCache } from 'lru-cache'
import { usernameKey } from '../../connection/cache/cache.ts'
import type { Connections } from '../../connection/open.ts'
import type { Queries } from '../../connection/postgres/database.ts'
import type { Claims } from '../../model/claims.ts'
import { invalidToken } from '../../model/errors.ts'
import { fold, isSamePoolUsername } from '../../model/text.ts'
import { canBeUsername } from '../../model/username.ts'
import { type Caller, roleOf } from './access.ts'
import {
  decodeNameRecord,
  encodeNameRecord,
  type NameRecord,
  type NameRow,
  selectNameRecords,
  toNameRecord,
} from './name-record.ts'
import { createSessionEnds, limitedTo, type SessionEnds } from './session-ends.ts'

export type CallerLookup = {
  /**
   * @returns undefined if the caller's user is blocked, or the token is older than the last block or change of password
   * @throws ServiceError `unavailable` if neither the cache nor the database answers
   */
  find(claims: Claims): Promise<Caller | undefined>
  /**
   * Finds the caller again in the transaction of a change, which sees everything committed before it:
   * docs/adr/0001-check-the-caller-in-the-committing-transaction.md.
   * @throws ServiceError `unauthenticated` if the token has ended, or no longer gives the role of the request's start
   */
  confirm(queries: Queries, caller: Caller): Promise<void>
  /** Counts the commit of the caller's change as the last use of the session. */
  committed(caller: Caller): void
  /** The ends of sessions that this process has seen. */
  ends: Pick<SessionEnds, 'latest' | 'count'>
}

// A block must take effect within a second on every server, and a look-up may take half of it.
const recentMs = 500
const recentNamesMax = 10_000

const callersByName = selectNameRecords()

export function createCallerLookup({
  db,
  cache,
  outbox,
  logger,
}: Pick<Connections, 'db' | 'cache' | 'outbox' | 'logger'>): CallerLookup {
  const recent = new LRUCache<string, Promise<NameRecord>>({ ...limitedTo(recentNamesMax), ttl: recentMs })
  const ends = createSessionEnds(logger)

  const load = async (folded: string): Promise<NameRecord> => {
    const row = await db.readByKey<NameRow>('callers-by-name', callersByName, folded)
    return row ? toNameRecord(row) : {}
  }

  const look = async (folded: string): Promise<NameRecord> => {
    const lookup = await cache.read(usernameKey(folded))
    if (lookup.kind === 'hit') return decodeNameRecord(lookup.entry)
    const record = await load(folded)
    if (lookup.kind === 'miss') await cache.fill(usernameKey(folded), lookup.lease, encodeNameRecord(record))
    return record
  }

  // A known token brings the same claims object, and folding a name costs as much as finding it.
  const subjects = new WeakMap<Claims, Subject>()
  const subjectOf = (claims: Claims): Subject => {
    let subject = subjects.get(claims)
    if (!subject) {
      subject = readSubject(claims)
      subjects.set(claims, subject)
    }
    return subject
  }

  /** @returns the caller of a token; undefined if the token has ended */
  const resolve = (claims: Claims, person: Person, { user, validFromMs }: NameRecord): Caller | undefined => {
    // Checked before the exact name: a pool that distinguishes Ada from ada must admit neither while the user is blocked.
    if (user?.isBlocked || !startedAfter(claims, validFromMs)) {
      ends.refused(person.session, user?.id, validFromMs)
      return undefined
    }
    // The own pool ignores case, but for another issuer Ada and ada may be two people.
    const owns =
      user !== undefined &&
      (user.username === person.exact ||
        (outbox.pool !== undefined && isSamePoolUsername(user.username, person.exact)))
    return { role: roleOf(claims, owns), userId: owns ? user.id : undefined, key: person.key, claims }
  }

  return {
    find: async (claims) => {
      const subject = subjectOf(claims)
      if (!('folded' in subject))
        return { role: roleOf(claims, false), userId: undefined, key: subject.key, claims }
      const { folded } = subject
      let record = recent.get(folded)
      if (!record) {
        record = look(folded)
        // The lifetime starts before the look-up, so the result is never older than `recentMs`.
        recent.set(folded, record)
        record.catch(() => recent.delete(folded))
      }
      const caller = resolve(claims, subject, await record)
      if (caller) ends.used(subject.session)
      return caller
    },
    confirm: async (queries, caller) => {
      const { claims, role, userId } = caller
      if (claims.expiresAtMs !== undefined && claims.expiresAtMs <= Date.now()) throw invalidToken()
      const subject = subjectOf(claims)
      if (!('folded' in subject)) return
      const [row] = await queries.prepared<NameRow>('callers-by-name', callersByName, [[subject.folded]])
      const now = resolve(claims, subject, row ? toNameRecord(row) : {})
      if (now?.role !== role || (userId !== undefined && now.userId !== userId)) throw invalidToken()
    },
    committed: ({ claims }) => {
      const subject = subjectOf(claims)
      if ('folded' in subject) ends.used(subject.session)
    },
    ends,
  }
}

/** The person or machine client of a token. The prefix of `key` keeps the two apart. */
type Subject = { key: string } | Person
type Person = {
  key: string
  folded: string
  exact: string
  /** Identifies one sign-in: all tokens of a session state the same time of it. */
  session: string
}

/** The key of the callers who have a username. */
export function personKey(usernameFolded: string): string {
  return `user:${usernameFolded}`
}

function readSubject({ username, client, signedInAtMs }: Claims): Subject {
  if (username === undefined || !canBeUsername(username))
    return { key: client === undefined ? 'unnamed' : `client:${client}` }
  const folded = fold(username)
  const exact = username.normalize('NFKC')
  return { key: personKey(folded), folded, exact, session: `${folded} ${signedInAtMs}` }
}

function startedAfter({ signedInAtMs }: Claims, validFromMs: number | undefined): boolean {
  return validFromMs === undefined || (signedInAtMs !== undefined && signedInAtMs >= validFromMs)
}
