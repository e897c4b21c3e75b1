// Validates and stores the contacts of a user.
import { asc, eq } from 'drizzle-orm'
import { v7 as uuidv7 } from 'uuid'
import type { Queries } from '../../connection/postgres/database.ts'
import { type Fault, invalid } from '../../model/errors.ts'
import { contacts } from '../../model/tables.ts'
import type { Contact, ContactInput } from '../../model/user.ts'

/** @throws ServiceError `invalid` if two contacts have the same id */
export function checkContactIds(sent: ContactInput[] | null | undefined): void {
  const seen = new Set<string>()
  const faults: Fault[] = []
  for (const [at, { id }] of (sent ?? []).entries()) {
    if (id === undefined) continue
    if (seen.has(id))
      faults.push({ pointer: `/contacts/${at}/id`, message: 'must be unique among the contacts' })
    seen.add(id)
  }
  if (faults.length > 0) throw invalid(...faults)
}

/** @returns the contacts of a user in their order */
export function readContacts(queries: Queries, userId: string): Promise<Contact[]> {
  return queries
    .select({ id: contacts.id, contact_type: contacts.contactType, value: contacts.value })
    .from(contacts)
    .where(eq(contacts.userId, userId))
    .orderBy(asc(contacts.position))
}

/**
 * Replaces the contacts of a user, unless they are the same.
 * A contact keeps an id that this user already has; any other contact gets a new id.
 */
export async function storeContacts(
  queries: Queries,
  userId: string,
  { current, wanted }: { current: Contact[]; wanted: ContactInput[] },
): Promise<Contact[]> {
  const known = new Set(current.map((contact) => contact.id))
  const next = wanted.map(({ id, contact_type, value }) => ({
    id: id !== undefined && known.has(id) ? id : uuidv7(),
    contact_type,
    value,
  }))
  if (JSON.stringify(next) === JSON.stringify(current)) return current
  if (current.length > 0) await queries.delete(contacts).where(eq(contacts.userId, userId))
  if (next.length > 0)
    await queries.insert(contacts).values(
      next.map(({ id, contact_type, value }, position) => ({
        id,
        userId,
        position,
        contactType: contact_type,
        value,
      })),
    )
  return next
}
