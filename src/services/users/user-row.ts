// Selects a user with its contacts, and turns the row into the user that the API returns.
import type { Attributes } from '../../model/attributes.ts'
import type { Contact, User } from '../../model/user.ts'

/** A row of `userColumns`. */
export type UserRow = {
  id: string
  avatar: string | null
  username: string
  name: string | null
  status: User['status']
  version: number
  created_at: Date
  updated_at: Date
  contacts: Contact[]
  external_id: string | null
  attributes: Attributes
}

/** Selects a user and all contacts in one statement, for `FROM users u`. */
export const userColumns = `
  u.id, u.avatar, u.username, u.name, u.status, u.external_id, u.attributes, u.version, u.created_at, u.updated_at,
  coalesce((
    SELECT json_agg(json_build_object('id', c.id, 'contact_type', c.contact_type, 'value', c.value) ORDER BY c.position)
    FROM contacts c WHERE c.user_id = u.id
  ), '[]') AS contacts`

export function toUser(row: UserRow, avatarBaseUrl: string): User {
  return {
    id: row.id,
    avatar: row.avatar,
    avatar_url: row.avatar === null ? null : avatarUrl(row.avatar, avatarBaseUrl),
    username: row.username,
    name: row.name,
    status: row.status,
    contacts: row.contacts,
    external_id: row.external_id,
    attributes: row.attributes,
    version: row.version,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  }
}

export function avatarUrl(avatar: string, avatarBaseUrl: string): string {
  return `${avatarBaseUrl}/${avatar}`
}
