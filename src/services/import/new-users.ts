// Stores the users that a chunk creates: by COPY, which is fastest, or by statements that leave out whom another write
// has stored meanwhile.
import { getTableColumns } from 'drizzle-orm'
import { v7 as uuidv7 } from 'uuid'
import { copyRow } from '../../connection/postgres/copy-text.ts'
import type { BulkQueries } from '../../connection/postgres/database.ts'
import { users } from '../../model/tables.ts'
import type { Contact } from '../../model/user.ts'
import { avatarKeyAfter } from '../avatars/change.ts'
import { draftColumns, type StoredUser } from '../users/write-transaction.ts'
import type { CheckedRow } from './check-row.ts'

/** @param now the database's clock, for a user without times of its own */
export function toNewUser(
  { user, kept, avatar = null, passwordHash = null }: CheckedRow,
  now: Date,
): StoredUser {
  const id = kept.id ?? uuidv7()
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
      id: id ?? uuidv7(),
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
export async function copyNewUsers(queries: BulkQueries, created: StoredUser[]): Promise<void> {
  const rows = created.map((user) => copyRow(columns.map(({ property }) => user[property])))
  await queries.copyIn(copyUsers, Buffer.from(rows.join('')))
  await copyUserContacts(queries, created)
}

const insertion = `
INSERT INTO users (${columnList}) SELECT ${columnList} FROM json_populate_recordset(NULL::users, $1)
ON CONFLICT DO NOTHING RETURNING id`

/** Waits for concurrent writes of the same keys. @returns the ids of the users that were stored */
export async function insertNewUsers(queries: BulkQueries, created: StoredUser[]): Promise<Set<string>> {
  const records = created.map((user) =>
    Object.fromEntries(columns.map(({ property, name }) => [name, user[property]])),
  )
  const rows = await queries.unprepared<{ id: string }>(insertion, [JSON.stringify(records)])
  const stored = new Set(rows.map(({ id }) => id))
  await copyUserContacts(
    queries,
    created.filter(({ id }) => stored.has(id)),
  )
  return stored
}

/** Stores the contacts of users who have none yet. */
export async function copyUserContacts(
  queries: BulkQueries,
  owners: { id: string; contacts: Contact[] }[],
): Promise<void> {
  const rows = owners.flatMap(({ id: userId, contacts }) =>
    contacts.map(({ id, contact_type, value }, position) =>
      copyRow([id, userId, position, contact_type, value]),
    ),
  )
  if (rows.length > 0) await queries.copyIn(copyContacts, Buffer.from(rows.join('')))
}
