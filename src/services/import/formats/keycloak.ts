// Parses Keycloak's realm export: one file with a list `users`, or its files of users one after another.
import { argon2Hash, pbkdf2Hash, type SourcePassword } from '../hash-forms.ts'
import { entriesOf, isObject, parseJson } from '../json.ts'
import { readJsonUsers } from '../json-users.ts'
import type { ParseImport } from '../row.ts'
import { hasValue, type SourceUser, toRows } from '../source-user.ts'

type Json = Record<string, unknown>

export const parseKeycloak: ParseImport = (bytes, options) =>
  toRows(readJsonUsers(bytes, { key: 'users' }), toUser, options)

function toUser(user: Json): SourceUser | string {
  if (hasValue(user.serviceAccountClientId))
    return 'must be a person; this is the service account of a client'
  return {
    externalId: user.id,
    username: user.username,
    emails: [user.email],
    names: [user.firstName, user.lastName],
    isBlocked: user.enabled === false,
    createdAt: user.createdTimestamp,
    password: passwordOf(user.credentials),
    attributes: [
      ['email_verified', hasValue(user.email) ? user.emailVerified : undefined],
      ...entriesOf(user.attributes).map(([name, value]): [string, unknown] => [name, single(value)]),
    ],
  }
}

function passwordOf(credentials: unknown): SourcePassword | undefined {
  const all = Array.isArray(credentials) ? credentials.filter(isObject) : []
  const credential = all.find(({ type }) => type === 'password')
  if (!credential) return undefined
  // Files written by hand hold the password itself.
  if (typeof credential.value === 'string') return { plain: credential.value }
  return typeof credential.secretData === 'string' ? currentHash(credential) : flatHash(credential)
}

/** JSON inside two strings, since Keycloak 8. */
function currentHash({ secretData, credentialData }: Json): SourcePassword {
  const secret = jsonObject(secretData)
  const data = jsonObject(credentialData)
  const parameters = isObject(data.additionalParameters) ? data.additionalParameters : {}
  return toHash(data.algorithm, {
    digest: secret.value,
    salt: secret.salt,
    iterations: data.hashIterations,
    parameters,
  })
}

/** Until Keycloak 7. The first versions had one algorithm and did not name it. */
function flatHash(credential: Json): SourcePassword {
  return toHash(credential.algorithm ?? 'pbkdf2', {
    digest: credential.hashedSaltedValue,
    salt: credential.salt,
    iterations: credential.hashIterations,
    parameters: {},
  })
}

type Parts = { digest: unknown; salt: unknown; iterations: unknown; parameters: Json }

function toHash(algorithm: unknown, { digest, salt, iterations, parameters }: Parts): SourcePassword {
  switch (algorithm) {
    case 'pbkdf2':
      return pbkdf2Hash('sha1', { digest, salt, iterations })
    case 'pbkdf2-sha256':
      return pbkdf2Hash('sha256', { digest, salt, iterations })
    case 'pbkdf2-sha512':
      return pbkdf2Hash('sha512', { digest, salt, iterations })
    case 'argon2': {
      const type = single(parameters.type)
      if (type !== 'd' && type !== 'i' && type !== 'id') break
      return argon2Hash(type, {
        digest,
        salt,
        version: single(parameters.version) === '1.0' ? 16 : 19,
        memory: single(parameters.memory),
        passes: iterations,
        lanes: single(parameters.parallelism),
      })
    }
    // A common extension.
    case 'bcrypt':
      if (typeof digest === 'string') return { hash: digest }
  }
  return { unsupported: 'of an algorithm that is not supported' }
}

/** Keycloak writes the values of attributes and parameters as lists, and old versions wrote text. */
function single(value: unknown): unknown {
  return Array.isArray(value) && value.length === 1 ? value[0] : value
}

function jsonObject(text: unknown): Json {
  const value = typeof text === 'string' ? parseJson(text) : undefined
  return isObject(value) ? value : {}
}
