// Stores the users that a chunk creates: by COPY, which is fastest, or by statements that leave out whom another write
// has stored meanwhile.
import { getTableColumns } from 'drizzle-orm'
import { copyRow } from '../../connection/postgres/copy-text.ts'
import type { BulkQueries } from '../../connection/postgres/database.ts'
import { users } from '../../model/tables.ts'
import { avatarKeyAfter } from '../avatars/change.ts'
import { draftColumns, type StoredUser } from '../users/write-transaction.ts'
import type { CheckedRow } from './check-row.ts'
import { newId } from './new-ids.ts'

/** A user that a row creates, and its rows in the format of COPY, made while PostgreSQL merges another chunk. */
export type NewUser = { user: StoredUser; userRow: string; contactRows: string }

/** @param now for a user without times of its own */
export function toNewUser(row: CheckedRow, now: Date): NewUser {
  const user = userOf(row, now)
  return {
    user,
    userRow: copyRow(columns.map(({ property }) => user[property])),
    contactRows: contactRowsOf(user),
  }
}

function userOf({ user, kept, avatar = null, passwordHash = null }: CheckedRow, now: Date): StoredUser {
  const id = kept.id ?? newId()
  const draft = {
    username: user.username,
    name: user.name ?? null,
    status: user.status ?? 'ACTIVE',
    contacts: user.contacts ?? [],
    externalId: user.external_id ?? null,
    attributes: user.attributes ?? {},
    avatar,
    passwordHash,
  }
  return {
    id,
    ...draftColumns(draft),
    avatar: avatarKeyAfter(id, avatar),
    version: kept.version ?? 1,
    createdAt: kept.created_at ?? now,
    updatedAt: kept.updated_at ?? now,
    sessionsValidFrom: null,
    contacts: draft.contacts.map(({ id, contact_type, value }) => ({
      id: id ?? newId(),
      contact_type,
      value,
    })),
  }
}

type Column = keyof typeof users.$inferSelect
const columns = Object.entries(getTableColumns(users)).map(([property, { name }]) => ({
  property: property as Column,
  name,
}))
const columnList = columns.map(({ name }) => name).join(', ')
const copyUsers = `COPY users (${columnList}) FROM STDIN`
const copyContacts = 'COPY contacts (id, user_id, position, contact_type, value) FROM STDIN'

/** @throws the driver's error of a unique constraint if another write was first */
export async function copyNewUsers(queries: BulkQueries, created: NewUser[]): Promise<void> {
  await copyAll(
    queries,
    copyUsers,
    created.map(({ userRow }) => userRow),
  )
  await copyAll(
    queries,
    copyContacts,
    created.map(({ contactRows }) => contactRows),
  )
}

async function copyAll(queries: BulkQueries, statement: string, rows: string[]): Promise<void> {
  const text = rows.join('')
  if (text !== '') await queries.copyIn(statement, Buffer.from(text))
}

const insertion = `
INSERT INTO users (${columnList}) SELECT ${columnList} FROM json_populate_recordset(NULL::users, $1)
ON CONFLICT DO NOTHING RETURNING id`

/** Waits for concurrent writes of the same keys. @returns the ids of the users that were stored */
export async function insertNewUsers(queries: BulkQueries, created: NewUser[]): Promise<Set<string>> {
  const records = created.map(({ user }) =>
    Object.fromEntries(columns.map(({ property, name }) => [name, user[property]])),
  )
  const rows = await queries.unprepared<{ id: string }>(insertion, [JSON.stringify(records)])
  const stored = new Set(rows.map(({ id }) => id))
  const contactRows = created.flatMap(({ user, contactRows }) => (stored.has(user.id) ? [contactRows] : []))
  await copyAll(queries, copyContacts, contactRows)
  return stored
}

/** Stores the contacts of users who have none yet. */
export async function copyUserContacts(queries: BulkQueries, owners: StoredUser[]): Promise<void> {
  await copyAll(queries, copyContacts, owners.map(contactRowsOf))
}

function contactRowsOf({ id: userId, contacts }: StoredUser): string {
  let rows = ''
  for (const [position, { id, contact_type, value }] of contacts.entries())
    rows += copyRow([id, userId, position, contact_type, value])
  return rows
}
