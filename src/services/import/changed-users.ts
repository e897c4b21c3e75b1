// Changes the users that the rows of a chunk match, as a PATCH of each would.
import { isDeepStrictEqual } from 'node:util'
import { getTableColumns } from 'drizzle-orm'
import type { BulkQueries, Queries } from '../../connection/postgres/database.ts'
import { users } from '../../model/tables.ts'
import type { Contact } from '../../model/user.ts'
import { avatarKeyAfter } from '../avatars/change.ts'
import { releaseUsernames } from '../users/released-usernames.ts'
import { draftColumns, type StoredUser } from '../users/write-transaction.ts'
import type { CheckedRow } from './check-row.ts'
import { newId } from './new-ids.ts'
import { copyUserContacts } from './new-users.ts'

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
 * The user after an import of the row. A field that the row does not give is kept; so is the password if the row has
 * none, because most sources give no hashes.
 * @returns undefined if nothing changes
 */
export function changeUser(before: StoredUser, row: CheckedRow, now: Date): ChangedUser | undefined {
  const { user } = row
  const { name = before.name, status = before.status, attributes = before.attributes } = user
  const { external_id: externalId = before.externalId } = user
  const avatar = row.avatar === undefined ? before.avatar : row.avatar
  const contacts =
    user.contacts === undefined ? before.contacts : contactsAfter(before.contacts, user.contacts)
  const passwordHash = row.passwordHash ?? before.passwordHash
  const draft = {
    username: user.username,
    name,
    status,
    contacts,
    externalId,
    attributes,
    avatar,
    passwordHash,
  }
  const changed = { ...before, ...draftColumns(draft), avatar: avatarKeyAfter(before.id, avatar), contacts }
  if (isDeepStrictEqual(changed, before)) return undefined
  const endsSessions =
    passwordHash !== before.passwordHash || (status === 'BLOCKED' && before.status !== 'BLOCKED')
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

/** A contact keeps its id if the row names it, or if it is the same in type and value. */
function contactsAfter(current: Contact[], wanted: NonNullable<CheckedRow['user']['contacts']>): Contact[] {
  const free = new Map(current.map((contact) => [contact.id, contact]))
  return wanted.map(({ id, contact_type, value }) => {
    const same = [...free.values()].find(
      (contact) => contact.id === id || (contact.contact_type === contact_type && contact.value === value),
    )
    if (same) free.delete(same.id)
    return { id: same?.id ?? newId(), contact_type, value }
  })
}

function later(one: Date, other: Date | null): Date {
  return other && other > one ? other : one
}

const written = (Object.keys(columns) as Column[]).filter((name) => name !== 'id' && name !== 'createdAt')
const update = `
UPDATE users u SET ${written.map((property) => `${columns[property].name} = r.${columns[property].name}`).join(', ')}
FROM json_populate_recordset(NULL::users, $1) r WHERE u.id = r.id`

/** @throws the driver's error of a unique constraint if another write was first */
export async function storeChanges(queries: BulkQueries, changes: ChangedUser[]): Promise<void> {
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
  const moved = changes.filter(({ before, after }) => !isDeepStrictEqual(before.contacts, after.contacts))
  if (moved.length === 0) return
  const ids = moved.map(({ before }) => before.id)
  await queries.unprepared('DELETE FROM contacts WHERE user_id = ANY($1)', [ids])
  await copyUserContacts(
    queries,
    moved.map(({ after }) => after),
  )
}
