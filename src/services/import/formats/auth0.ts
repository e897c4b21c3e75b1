// Parses Auth0's exports: NDJSON of a users-exports job or the extension, and the list with hashes from its support.
import { entriesOf, isObject } from '../json.ts'
import { readJsonLines } from '../json-lines.ts'
import { readJsonUsers } from '../json-users.ts'
import { peekCharacter } from '../peek.ts'
import type { SourceRecord } from '../record.ts'
import type { ImportOptions, ParseImport } from '../row.ts'
import { hasValue, type SourceUser, toRows } from '../source-user.ts'

type Json = Record<string, unknown>

export const parseAuth0: ParseImport = async function* (bytes, options) {
  yield* toRows(withHashes(readRecords(bytes), options), toUser, options)
}

/**
 * Reads the file of hashes. A user who has a custom hash gets `customHashMark`.
 * @returns records without the field `_id` or a hash as faults
 */
export async function* readAuth0Hashes(
  bytes: AsyncIterable<Uint8Array>,
): AsyncIterable<({ line: number } & ({ externalId: string; hash: string } | { fault: string }))[]> {
  for await (const records of readRecords(bytes))
    yield records.map((record) => {
      if (record.fault !== undefined) return record
      const { line, value } = record
      const externalId = externalIdOf(value)
      const hash = hasValue(value.custom_password_hash) ? customHashMark : hashOf(value)
      return typeof externalId === 'string' && typeof hash === 'string'
        ? { line, externalId, hash }
        : { line, fault: 'must have the fields _id and passwordHash' }
    })
}

const customHashMark = ''

async function* readRecords(bytes: AsyncIterable<Uint8Array>): AsyncIterable<SourceRecord[]> {
  const { first, whole } = await peekCharacter(bytes)
  const source = first === '[' ? readJsonUsers(whole, { key: 'users' }) : readJsonLines(whole)
  for await (const records of source)
    yield records.map((record) =>
      record.fault === undefined ? { line: record.line, value: withApiNames(record.value) } : record,
    )
}

/** The extension writes `Email Verified` for `email_verified`. */
function withApiNames(user: Json): Json {
  if ('user_id' in user || '_id' in user) return user
  return Object.fromEntries(
    Object.entries(user).map(([name, value]) => [name.toLowerCase().replaceAll(' ', '_'), value]),
  )
}

async function* withHashes(
  source: AsyncIterable<SourceRecord[]>,
  { hashesOf }: ImportOptions,
): AsyncIterable<SourceRecord[]> {
  for await (const records of source) {
    if (hashesOf) {
      const users = records.flatMap(({ fault, ...record }) => ('value' in record ? [record.value] : []))
      const ids = users.map(externalIdOf).filter((id) => typeof id === 'string')
      const hashes = await hashesOf(ids)
      for (const user of users) {
        const id = externalIdOf(user)
        const hash = typeof id === 'string' ? hashes.get(id) : undefined
        if (hash === customHashMark) user.custom_password_hash = true
        else if (hash !== undefined) user.passwordHash = hash
      }
    }
    yield records
  }
}

function toUser(user: Json): SourceUser {
  const hash = hashOf(user)
  return {
    externalId: externalIdOf(user),
    username: user.username,
    emails: [user.email],
    phones: [user.phone_number],
    // Auth0 fills in the e-mail address or telephone number where it knows no name.
    name: user.name === user.email || user.name === user.phone_number ? undefined : user.name,
    names: [user.given_name, user.family_name],
    isBlocked: user.blocked === true,
    createdAt: user.created_at,
    password: typeof hash === 'string' ? { hash } : customHash(user),
    attributes: [
      ['email_verified', hasValue(user.email) ? user.email_verified : undefined],
      ['phone_verified', hasValue(user.phone_number) ? user.phone_verified : undefined],
      ['nickname', user.nickname],
      ...entriesOf(user.user_metadata),
      ...entriesOf(user.app_metadata),
      ...selectedMetadata(user),
    ],
  }
}

/** An export of single metadata fields names them by their path. */
function selectedMetadata(user: Json): [string, unknown][] {
  return Object.entries(user).flatMap(([name, value]) => {
    const [, key] = /^(?:user|app)_metadata\.(.+)$/s.exec(name) ?? []
    return key === undefined ? [] : [[key, value] satisfies [string, unknown]]
  })
}

/** The file of hashes has the id without the name of the connection's strategy. */
function externalIdOf(user: Json): unknown {
  const id = user.user_id ?? user.id ?? (isObject(user._id) ? user._id.$oid : user._id)
  return typeof id === 'string' && id !== '' && !id.includes('|') ? `auth0|${id}` : id
}

function hashOf(user: Json): unknown {
  return user.passwordHash ?? user.password_hash ?? undefined
}

function customHash(user: Json): SourceUser['password'] {
  return hasValue(user.custom_password_hash)
    ? { unsupported: 'a custom password hash, which is not supported' }
    : undefined
}
