// A user's row and contacts, and the JSON that is answered for them.
import type { Entry } from '../../connection/cache/cache.ts'
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
}

/** What is answered of a user, in one statement however many contacts there are; for `FROM users u`. */
export const userColumns = `
  u.id, u.avatar, u.username, u.name, u.status, u.version, u.created_at, u.updated_at,
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
    version: row.version,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  }
}

export function avatarUrl(avatar: string, avatarBaseUrl: string): string {
  return `${avatarBaseUrl}/${avatar}`
}

/** The cache entry of a user: see `Entry`. */
export function toEntry(user: User): Entry {
  return Buffer.from(`${user.version}\n${JSON.stringify(user)}`)
}

/** What is answered from an entry: the version for the ETag, and the JSON as it is stored. */
export function readEntry(entry: Entry): { version: number; json: Uint8Array<ArrayBuffer> } {
  const end = entry.indexOf(0x0a)
  return {
    version: Number(entry.toString('latin1', 0, end)),
    json: entry.subarray(end + 1) as Uint8Array<ArrayBuffer>,
  }
}
