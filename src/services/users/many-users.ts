// Reads, changes and erases many users within a transaction, by the rules of single writes.
import { isDeepStrictEqual } from 'node:util'
import { getTableColumns } from 'drizzle-orm'
import type { Queries } from '../../connection/postgres/database.ts'
import { users } from '../../model/tables.ts'
import type { Contact } from '../../model/user.ts'
import { releaseUsernames } from './released-usernames.ts'
import type { StoredUser } from './write-transaction.ts'

export type ChangedUser = { before: StoredUser; after: StoredUser }

const columns = getTableColumns(users)
type Column = keyof typeof columns
const selected = Object.entries(columns)
  .map(([property, { name }]) => `u.${name} AS "${property}"`)
  .join(', ')
// In the order of the ids, so that two such statements cannot lock each other out.
const selectUsers = `SELECT ${selected} FROM users u WHERE u.id = ANY($1) ORDER BY u.id`
const selectContacts = `
SELECT user_id AS "userId", id, contact_type, value FROM contacts WHERE user_id = ANY($1) ORDER BY user_id, position`

/** Reads users with their contacts. @param isLocking keeps others from changing them until the transaction ends */
export async function readUsers(
  queries: Queries,
  ids: string[],
  isLocking: boolean,
): Promise<Map<string, StoredUser>> {
  const rows = await queries.unprepared<typeof users.$inferSelect>(
    isLocking ? `${selectUsers} FOR UPDATE` : selectUsers,
    [ids],
  )
  const stored = new Map(rows.map((row): [string, StoredUser] => [row.id, { ...row, contacts: [] }]))
  // A separate statement, because a join would see the contacts from before the wait for a lock.
  const found = await queries.unprepared<Contact & { userId: string }>(selectContacts, [ids])
  for (const { userId, ...contact } of found) stored.get(userId)?.contacts.push(contact)
  return stored
}

/**
 * The user after a change of some fields, as a single write stores it.
 * @param now the database's clock
 * @returns undefined if nothing changes
 */
export function changedUser(
  before: StoredUser,
  fields: Partial<StoredUser>,
  now: Date,
): ChangedUser | undefined {
  const changed = { ...before, ...fields }
  if (isDeepStrictEqual(changed, before)) return undefined
  const endsSessions =
    changed.passwordHash !== before.passwordHash ||
    (changed.status === 'BLOCKED' && before.status !== 'BLOCKED')
  return {
    before,
    after: {
      ...changed,
      version: before.version + 1,
      // The clock may have been set back since the last change.
      updatedAt: later(now, before.updatedAt),
      sessionsValidFrom: endsSessions
        ? // Never the same value twice, so that a concurrent password check notices the change.
          later(now, before.sessionsValidFrom && new Date(before.sessionsValidFrom.getTime() + 1))
        : before.sessionsValidFrom,
    },
  }
}

function later(one: Date, other: Date | null): Date {
  return other && other > one ? other : one
}

const written = (Object.keys(columns) as Column[]).filter((name) => name !== 'id' && name !== 'createdAt')
const update = `
UPDATE users u SET ${written.map((property) => `${columns[property].name} = r.${columns[property].name}`).join(', ')}
FROM json_populate_recordset(NULL::users, $1) r WHERE u.id = r.id`

/** Stores all but the contacts. @throws the driver's error of a unique constraint if another write was first */
export async function storeChangedUsers(queries: Queries, changes: ChangedUser[]): Promise<void> {
  if (changes.length === 0) return
  const records = changes.map(({ after }) =>
    Object.fromEntries(
      (['id', ...written] as Column[]).map((property) => [columns[property].name, after[property]]),
    ),
  )
  await queries.unprepared(update, [JSON.stringify(records)])
  const renamed = changes.filter(({ before, after }) => before.usernameFolded !== after.usernameFolded)
  await releaseUsernames(
    queries,
    renamed.map(({ before }) => before.usernameFolded),
  )
}

/** Erases locked users with their contacts. Their avatars are to be removed after the commit. */
export async function deleteUsers(queries: Queries, erased: StoredUser[]): Promise<void> {
  if (erased.length === 0) return
  await queries.unprepared('DELETE FROM users WHERE id = ANY($1)', [erased.map(({ id }) => id)])
  await releaseUsernames(
    queries,
    erased.map(({ usernameFolded }) => usernameFolded),
  )
}
