// Changes the users that the rows of a chunk match, as a PATCH of each would.
import { isDeepStrictEqual } from 'node:util'
import type { BulkQueries } from '../../connection/postgres/database.ts'
import type { Contact } from '../../model/user.ts'
import { avatarKeyAfter } from '../avatars/change.ts'
import { type ChangedUser, changedUser, storeChangedUsers } from '../users/many-users.ts'
import { draftColumns, type StoredUser } from '../users/write-transaction.ts'
import type { CheckedRow } from './check-row.ts'
import { newId } from './new-ids.ts'
import { copyUserContacts } from './new-users.ts'

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
  const columns = { ...draftColumns(draft), avatar: avatarKeyAfter(before.id, avatar), contacts }
  return changedUser(before, columns, now)
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

/** @throws the driver's error of a unique constraint if another write was first */
export async function storeChanges(queries: BulkQueries, changes: ChangedUser[]): Promise<void> {
  await storeChangedUsers(queries, changes)
  const moved = changes.filter(({ before, after }) => !isDeepStrictEqual(before.contacts, after.contacts))
  if (moved.length === 0) return
  const ids = moved.map(({ before }) => before.id)
  await queries.unprepared('DELETE FROM contacts WHERE user_id = ANY($1)', [ids])
  await copyUserContacts(
    queries,
    moved.map(({ after }) => after),
  )
}
