// Parses Clerk's exports: the CSV of its dashboard, the older one of its support, and the same as a JSON list.
import { metadataEntries } from '../attributes.ts'
import { readCsvObjects } from '../csv-objects.ts'
import { firebaseHash, pbkdf2Hash, type SourcePassword } from '../hash-forms.ts'
import { readJsonUsers } from '../json-users.ts'
import { peekCharacter } from '../peek.ts'
import type { ParseImport } from '../row.ts'
import { hasValue, type SourceUser, toRows } from '../source-user.ts'

type Row = Record<string, unknown>

export const parseClerk: ParseImport = async function* (bytes, options) {
  const { first, whole } = await peekCharacter(bytes)
  const records =
    first === '[' || first === '{'
      ? readJsonUsers(whole, { key: 'users' })
      : readCsvObjects(whole, { columns: ['primary_email_address', 'email_addresses'] })
  yield* toRows(records, toUser, options)
}

function toUser(row: Row): SourceUser {
  const primary = row.primary_email_address
  const verified = list(row.verified_email_addresses)
  return {
    externalId: row.id,
    username: row.username,
    emails: [primary, ...list(row.email_addresses), ...verified, ...list(row.unverified_email_addresses)],
    phones: [
      row.primary_phone_number,
      ...list(row.phone_numbers),
      ...list(row.verified_phone_numbers),
      ...list(row.unverified_phone_numbers),
    ],
    names: [row.first_name, row.last_name],
    isBlocked: row.banned === true || row.banned === 'true',
    createdAt: row.created_at,
    password: passwordOf(row.password_digest, row.password_hasher),
    attributes: [
      ['email_verified', hasValue(primary) ? verified.includes(String(primary)) : undefined],
      // A user may read its attributes, so private metadata is left out.
      ...metadataEntries('public_metadata', row.public_metadata),
      ...metadataEntries('unsafe_metadata', row.unsafe_metadata),
    ],
  }
}

// Fifty contacts of the longest kind take less.
const listCharactersMax = 20_000

/** A longer text stays one item, which the schema refuses by its length. */
function list(value: unknown): string[] {
  if (typeof value !== 'string') return []
  return value.length > listCharactersMax ? [value] : value.split(/[|,;]/).map((item) => item.trim())
}

/** The forms are those of `password_digest` in Clerk's Backend API. */
function passwordOf(digest: unknown, hasher: unknown): SourcePassword | undefined {
  if (typeof digest !== 'string' || digest === '') return undefined
  const parts = digest.split('$')
  switch (hasher) {
    case 'bcrypt':
    case 'argon2i':
    case 'argon2id':
      return { hash: digest }
    case 'pbkdf2_sha256':
      return pbkdf2Hash('sha256', { iterations: parts[1], salt: parts[2], digest: parts[3] })
    case 'pbkdf2_sha256_django':
      return pbkdf2Hash('sha256', { iterations: parts[1], salt: base64(parts[2]), digest: parts[3] })
    case 'scrypt_firebase': {
      const [hash, salt, signerKey, separator, rounds, memCost] = parts
      return firebaseHash({ digest: hash, salt, signerKey, separator, rounds, memCost })
    }
    default:
      return { unsupported: 'of a password hasher that is not supported' }
  }
}

function base64(text: string | undefined): string | undefined {
  return text === undefined ? undefined : Buffer.from(text).toString('base64')
}
