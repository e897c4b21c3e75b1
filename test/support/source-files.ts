// Writes users with password hashes as the files of other systems. The hashes come in the API's forms.
import type { ImportFormat } from '../../src/model/job.ts'

type UserWithHash = { username: string; hash: string }

export type SourceFile = { format: ImportFormat; options?: object; file: string; hashes?: string }

const lines = (values: object[]) => values.map((value) => `${JSON.stringify(value)}\n`).join('')
const csv = (rows: string[][]) =>
  rows.map((cells) => `${cells.map((cell) => `"${cell.replaceAll('"', '""')}"`).join()}\n`).join('')
/** With the padding that PHC strings leave out. */
const padded = (text = '') => Buffer.from(text, 'base64').toString('base64')
const emailOf = (username: string) => `${username}@example.com`

export function keycloakFile(users: UserWithHash[]): SourceFile {
  const written = users.map(({ username, hash }) => {
    const { algorithm, iterations, salt, digest, additionalParameters } = keycloakParts(hash)
    const credential = {
      type: 'password',
      secretData: JSON.stringify({ value: digest, salt, additionalParameters: {} }),
      credentialData: JSON.stringify({ hashIterations: iterations, algorithm, additionalParameters }),
    }
    return { id: username, username, enabled: true, credentials: [credential] }
  })
  return { format: 'keycloak', file: JSON.stringify({ realm: 'shop', users: written }) }
}

/** The form until Keycloak 7, for PBKDF2. */
export function oldKeycloakFile(users: UserWithHash[]): SourceFile {
  const written = users.map(({ username, hash }) => {
    const { algorithm, iterations, salt, digest } = keycloakParts(hash)
    const credential = {
      type: 'password',
      algorithm,
      hashedSaltedValue: digest,
      salt,
      hashIterations: iterations,
    }
    return { id: username, username, enabled: true, credentials: [credential] }
  })
  return { format: 'keycloak', file: JSON.stringify({ realm: 'shop', users: written }) }
}

function keycloakParts(hash: string) {
  const [, kind = '', ...parts] = hash.split('$')
  if (kind.startsWith('2'))
    return { algorithm: 'bcrypt', iterations: 10, salt: '', digest: hash, additionalParameters: {} }
  const [salt, digest] = parts.slice(-2).map(padded)
  const number = (name: string) => new RegExp(`\\b${name}=(\\d+)`).exec(hash)?.[1] ?? ''
  if (kind.startsWith('argon2')) {
    const additionalParameters = {
      type: [kind.slice('argon2'.length)],
      version: [number('v') === '16' ? '1.0' : '1.3'],
      memory: [number('m')],
      parallelism: [number('p')],
    }
    return { algorithm: 'argon2', iterations: Number(number('t')), salt, digest, additionalParameters }
  }
  const algorithm = kind === 'pbkdf2-sha1' ? 'pbkdf2' : kind
  return { algorithm, iterations: Number(number('i')), salt, digest, additionalParameters: {} }
}

/** With the hashes in the lines. */
export function auth0File(users: UserWithHash[]): SourceFile {
  const file = lines(
    users.map(({ username, hash }) => ({ user_id: `auth0|${username}`, username, passwordHash: hash })),
  )
  return { format: 'auth0', file }
}

/** With the hashes in a file of their own. */
export function auth0Files(users: UserWithHash[]): SourceFile {
  return {
    format: 'auth0',
    file: lines(users.map(({ username }) => ({ user_id: `auth0|${username}`, username }))),
    hashes: lines(users.map(({ username, hash }) => ({ _id: { $oid: username }, passwordHash: hash }))),
  }
}

/** The usernames become e-mail addresses. */
export function firebaseFile(users: UserWithHash[]): SourceFile {
  const written = users.map(({ username, hash }) => {
    const { digest, salt } = firebaseParts(hash)
    return { localId: username, email: emailOf(username), passwordHash: digest, salt }
  })
  return { ...firebaseOptions(users), file: JSON.stringify({ users: written }) }
}

/** The usernames become e-mail addresses. */
export function firebaseCsv(users: UserWithHash[]): SourceFile {
  const rows = users.map(({ username, hash }) => {
    const { digest, salt } = firebaseParts(hash)
    const cells = [username, emailOf(username), 'true', digest, salt]
    return `${[...cells, ...Array.from({ length: 21 }, () => ''), 'false', ''].join()},\n`
  })
  return { ...firebaseOptions(users), file: rows.join('') }
}

function firebaseParts(hash: string) {
  const [, , parameters = '', salt, digest] = hash.split('$')
  const [, memCost, rounds, separator, signerKey] =
    /^ln=(\d+),r=(\d+),p=1,s=([^,]*),k=(.+)$/.exec(parameters) ?? []
  return {
    memCost: Number(memCost),
    rounds: Number(rounds),
    separator: padded(separator),
    signerKey: padded(signerKey),
    salt: padded(salt),
    digest: padded(digest),
  }
}

/** The parameters of the project, which all its hashes share. */
function firebaseOptions([first]: UserWithHash[]): Omit<SourceFile, 'file'> {
  const { memCost, rounds, separator, signerKey } = firebaseParts(first?.hash ?? '')
  const firebase = {
    base64_signer_key: signerKey,
    base64_salt_separator: separator,
    rounds,
    mem_cost: memCost,
  }
  return { format: 'firebase', options: { firebase } }
}

/** A salt that is text is written as Django writes it. */
export function clerkFile(users: UserWithHash[]): SourceFile {
  const header = ['id', 'username', 'primary_email_address', 'password_digest', 'password_hasher']
  const rows = users.map(({ username, hash }) => [
    username,
    username,
    emailOf(username),
    ...clerkPassword(hash),
  ])
  return { format: 'clerk', file: csv([header, ...rows]) }
}

function clerkPassword(hash: string): [digest: string, hasher: string] {
  const [, kind = '', parameters = '', salt = '', digest = ''] = hash.split('$')
  if (kind.startsWith('2')) return [hash, 'bcrypt']
  if (kind.startsWith('argon2')) return [hash, kind]
  if (kind === 'firebase-scrypt') {
    const { memCost, rounds, separator, signerKey, ...parts } = firebaseParts(hash)
    return [[parts.digest, parts.salt, signerKey, separator, rounds, memCost].join('$'), 'scrypt_firebase']
  }
  const iterations = /i=(\d+)/.exec(parameters)?.[1]
  const text = Buffer.from(salt, 'base64').toString()
  return /^\w+$/.test(text)
    ? [['pbkdf2_sha256', iterations, text, padded(digest)].join('$'), 'pbkdf2_sha256_django']
    : [['pbkdf2_sha256', iterations, padded(salt), padded(digest)].join('$'), 'pbkdf2_sha256']
}

/** The usernames become e-mail addresses. */
export function supabaseFile(users: UserWithHash[]): SourceFile {
  const header = ['id', 'email', 'encrypted_password', 'raw_user_meta_data']
  const rows = users.map(({ username, hash }) => [username, emailOf(username), hash, '{}'])
  return { format: 'supabase', file: csv([header, ...rows]) }
}

export function ownFile(users: UserWithHash[]): SourceFile {
  const file = lines(users.map(({ username, hash }) => ({ username, password_hash: hash })))
  return { format: 'ndjson', file }
}

export function ownCsv(users: UserWithHash[]): SourceFile {
  const rows = users.map(({ username, hash }) => [username, hash])
  return { format: 'csv', file: csv([['username', 'password_hash'], ...rows]) }
}
