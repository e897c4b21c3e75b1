// Parses Supabase's table auth.users as CSV, as its dashboard and psql write it.
import { metadataEntries } from '../attributes.ts'
import { readCsvObjects } from '../csv-objects.ts'
import type { ParseImport } from '../row.ts'
import { toInstant } from '../source-time.ts'
import { hasValue, type SourceUser, toRows } from '../source-user.ts'

export const parseSupabase: ParseImport = (bytes, options) =>
  toRows(readCsvObjects(bytes, { columns: ['encrypted_password', 'raw_user_meta_data'] }), toUser, options)

/** Copies of other fields, which providers put into the metadata, and the providers themselves. */
const otherNames = new Set([
  'iss',
  'sub',
  'name',
  'full_name',
  'email',
  'email_verified',
  'phone',
  'phone_verified',
  'picture',
  'avatar_url',
  'provider',
  'provider_id',
  'providers',
])

type Row = Record<string, unknown>

function toUser(row: Row): SourceUser | string {
  // Supabase has replaced the e-mail address and the telephone number of such a user by hashes.
  if (hasValue(row.deleted_at)) return 'must not be deleted; Supabase has removed the data of this user'
  const profile = metadataEntries('raw_user_meta_data', row.raw_user_meta_data)
  const { name, full_name: fullName } = Object.fromEntries(profile)
  return {
    externalId: row.id,
    emails: [row.email],
    phones: [typeof row.phone === 'string' && /^\d+$/.test(row.phone) ? `+${row.phone}` : row.phone],
    name: hasValue(fullName) ? fullName : name,
    isBlocked: isBanned(row.banned_until),
    createdAt: row.created_at,
    password: hasValue(row.encrypted_password) ? { hash: String(row.encrypted_password) } : undefined,
    attributes: [
      ['email_verified', hasValue(row.email) ? hasValue(row.email_confirmed_at) : undefined],
      ['phone_verified', hasValue(row.phone) ? hasValue(row.phone_confirmed_at) : undefined],
      ...[...profile, ...metadataEntries('raw_app_meta_data', row.raw_app_meta_data)].filter(
        ([name]) => !otherNames.has(name),
      ),
    ],
  }
}

/** A ban may be in the past, in the future or `infinity`. An unknown form blocks the user. */
function isBanned(until: unknown): boolean {
  if (!hasValue(until)) return false
  const instant = toInstant(until)
  return instant === undefined || Date.parse(instant) > Date.now()
}
