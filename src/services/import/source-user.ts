// Maps users of other systems to rows, by the same rules for all of them.

import type { SourceOptions } from '../../model/import-options.ts'
import { parsePasswordHash } from '../../model/password-hash.ts'
import { toAttributes } from './attributes.ts'
import type { SourcePassword } from './hash-forms.ts'
import type { SourceRecord } from './record.ts'
import { type ImportOptions, type ImportRow, refusedRow } from './row.ts'
import { toInstant } from './source-time.ts'

/** A user of another system. Fields are unchecked; undefined, null and empty text mean that there is no value. */
export type SourceUser = {
  externalId: unknown
  username?: unknown
  emails: unknown[]
  phones?: unknown[]
  /** The display name, else the parts that make one. */
  name?: unknown
  names?: unknown[]
  isBlocked?: boolean
  password?: SourcePassword | undefined
  createdAt?: unknown
  attributes: [name: string, value: unknown][]
}

/** @param map returns a message for an entry that is no user */
export async function* toRows(
  source: AsyncIterable<SourceRecord[]>,
  map: (value: Record<string, unknown>) => SourceUser | string,
  options: ImportOptions,
): AsyncIterable<ImportRow[]> {
  for await (const records of source) yield records.map((record) => toRow(record, map, options))
}

function toRow(
  record: SourceRecord,
  map: (value: Record<string, unknown>) => SourceUser | string,
  options: SourceOptions,
): ImportRow {
  const { line } = record
  if (record.fault !== undefined) return refusedRow(line, record.fault)
  const source = map(record.value)
  if (typeof source === 'string') return refusedRow(line, source)
  const emails = unique(source.emails)
  const phones = unique(source.phones ?? [])
  const username = [source.username, ...emails, ...phones].find(hasValue)
  if (username === undefined)
    return refusedRow(line, 'must have a username, an e-mail address or a telephone number')
  const { attributes, faults } = toAttributes(source.attributes, options)
  const createdAt = hasValue(source.createdAt) ? toInstant(source.createdAt) : undefined
  if (hasValue(source.createdAt) && createdAt === undefined)
    faults.push({
      pointer: '/created_at',
      message: 'must be a time in ISO 8601 or in milliseconds since 1970',
    })
  const password = passwordFields(source.password, options)
  if (typeof password === 'string') faults.push({ pointer: '/password_hash', message: password })
  const user = {
    username,
    name: hasValue(source.name) ? source.name : (source.names ?? []).filter(hasValue).join(' ') || null,
    status: source.isBlocked ? 'BLOCKED' : 'ACTIVE',
    external_id: hasValue(source.externalId) ? source.externalId : null,
    contacts: [
      ...emails.map((value) => ({ contact_type: 'EMAIL', value })),
      ...phones.map((value) => ({ contact_type: 'PHONE', value })),
    ],
    attributes,
    ...(typeof password === 'object' ? password : { password: null }),
    ...(createdAt !== undefined && { created_at: createdAt }),
  }
  return { line, user, faults }
}

/** @returns the fields of the API; a message for a hash that is refused */
function passwordFields(
  password: SourcePassword | undefined,
  { unknown_hashes: unknown = 'refuse' }: SourceOptions,
): { password: string | null } | { password_hash: string } | string {
  if (password === undefined) return { password: null }
  if ('plain' in password) return { password: password.plain }
  if ('unsupported' in password)
    return unknown === 'drop'
      ? { password: null }
      : `is ${password.unsupported}; set unknown_hashes to drop to import the user without a password`
  if (unknown === 'drop' && typeof parsePasswordHash(password.hash) === 'string') return { password: null }
  return { password_hash: password.hash }
}

export function hasValue(value: unknown): boolean {
  return value !== undefined && value !== null && value !== ''
}

function unique(values: unknown[]): unknown[] {
  return [...new Set(values.filter(hasValue))]
}
