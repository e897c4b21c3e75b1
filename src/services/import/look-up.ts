// Finds the users of the directory that the rows of a chunk concern.
import type { Queries } from '../../connection/postgres/database.ts'
import type { CheckedRow } from './check-row.ts'

export type KnownUser = { id: string; usernameFolded: string; externalId: string | null }

export type Known = {
  byUsername: Map<string, KnownUser>
  byExternalId: Map<string, KnownUser>
  /** Ids of users and of contacts that rows bring along. */
  ids: Set<string>
  /** The database's clock. */
  now: Date
}

// Three statements by one index each. A single one with OR would be planned by estimates.
const byUsername = `
SELECT id, username_folded AS "usernameFolded", external_id AS "externalId"
FROM users WHERE username_folded = ANY($1)`
const byExternalId = `
SELECT id, username_folded AS "usernameFolded", external_id AS "externalId"
FROM users WHERE external_id = ANY($1)`
const byId = `
SELECT id FROM users WHERE id = ANY($1)
UNION ALL SELECT id FROM contacts WHERE id = ANY($2)`

export async function lookUp(queries: Queries, rows: CheckedRow[]): Promise<Known> {
  const present = <T>(values: (T | null | undefined)[]): T[] =>
    values.filter((value): value is T => value !== null && value !== undefined)
  const externalIds = present(rows.map(({ user }) => user.external_id))
  const ids = present(rows.map(({ kept }) => kept.id))
  const contactIds = present(rows.flatMap(({ user }) => (user.contacts ?? []).map(({ id }) => id)))
  const [clock] = await queries.unprepared<{ now: Date }>(
    'SELECT clock_timestamp()::timestamptz(3) AS now',
    [],
  )
  const named = await queries.unprepared<KnownUser>(byUsername, [rows.map((row) => row.usernameFolded)])
  const identified =
    externalIds.length === 0 ? [] : await queries.unprepared<KnownUser>(byExternalId, [externalIds])
  const taken =
    ids.length + contactIds.length === 0
      ? []
      : await queries.unprepared<{ id: string }>(byId, [ids, contactIds])
  return {
    byUsername: new Map(named.map((user) => [user.usernameFolded, user])),
    byExternalId: new Map(identified.map((user) => [user.externalId ?? '', user])),
    ids: new Set(taken.map(({ id }) => id)),
    now: clock?.now ?? new Date(),
  }
}
