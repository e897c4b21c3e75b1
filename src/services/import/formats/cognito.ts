// Parses Cognito's users: the JSON of ListUsers, and CSV with the header of GetCSVHeader. Neither holds passwords.
import { readCsvObjects } from '../csv-objects.ts'
import { isObject } from '../json.ts'
import { readJsonUsers } from '../json-users.ts'
import { peekCharacter } from '../peek.ts'
import type { ParseImport } from '../row.ts'
import { hasValue, type SourceUser, toRows } from '../source-user.ts'

type Json = Record<string, unknown>

export const parseCognito: ParseImport = async function* (bytes, options) {
  const { first, whole } = await peekCharacter(bytes)
  if (first === '{' || first === '[') {
    yield* toRows(readJsonUsers(whole, { key: 'Users' }), fromListUsers, options)
    return
  }
  const records = readCsvObjects(whole, {
    columns: ['cognito:username', 'username', 'email', 'phone_number'],
  })
  yield* toRows(
    records,
    (row) => toUser({ ...row, username: row['cognito:username'] ?? row.username }),
    options,
  )
}

function fromListUsers(user: Json): SourceUser {
  const attributes = user.Attributes ?? user.UserAttributes
  const pairs = (Array.isArray(attributes) ? attributes : [])
    .filter(isObject)
    .map(({ Name, Value }): [string, unknown] => [String(Name), Value])
  return {
    ...toUser({ ...Object.fromEntries(pairs), username: user.Username }),
    isBlocked: user.Enabled === false,
    createdAt: seconds(user.UserCreateDate),
  }
}

/** Mapped to other fields, or of no use elsewhere. */
const otherNames = new Set([
  'username',
  'sub',
  'name',
  'given_name',
  'family_name',
  'email',
  'email_verified',
  'phone_number',
  'phone_number_verified',
  'picture',
  'identities',
  'updated_at',
])

function toUser(fields: Json): SourceUser {
  // Where people sign in by e-mail address, Cognito sets the username to the user's id.
  const username = fields.username === fields.sub ? fields.preferred_username : fields.username
  return {
    externalId: fields.sub,
    username,
    emails: [fields.email],
    phones: [fields.phone_number],
    name: fields.name,
    names: [fields.given_name, fields.family_name],
    attributes: [
      ['email_verified', hasValue(fields.email) ? flag(fields.email_verified) : undefined],
      ['phone_verified', hasValue(fields.phone_number) ? flag(fields.phone_number_verified) : undefined],
      ...Object.entries(fields).filter(([name]) => !otherNames.has(name) && !name.startsWith('cognito:')),
    ],
  }
}

function flag(value: unknown): boolean | undefined {
  return value === undefined ? undefined : String(value).toLowerCase() === 'true'
}

/** Version 1 of the AWS CLI writes seconds since 1970, version 2 writes ISO 8601. */
function seconds(value: unknown): unknown {
  return typeof value === 'number' ? Math.floor(value * 1000) : value
}
