// Writes our own NDJSON: one user in each line.
import type { ExportedUser } from '../exported-user.ts'

/** @returns a line for each user, with its line feed. The order of keys is fixed, so equal users are equal lines. */
export function ndjsonLines(users: ExportedUser[]): string {
  let lines = ''
  for (const user of users) lines += `${JSON.stringify(inOrder(user))}\n`
  return lines
}

function inOrder(user: ExportedUser): ExportedUser {
  return {
    id: user.id,
    username: user.username,
    name: user.name,
    status: user.status,
    external_id: user.external_id,
    avatar: user.avatar,
    contacts: user.contacts.map(({ id, contact_type, value }) => ({ id, contact_type, value })),
    attributes: user.attributes,
    version: user.version,
    created_at: user.created_at,
    updated_at: user.updated_at,
    ...(user.password_hash !== undefined && { password_hash: user.password_hash }),
  }
}
