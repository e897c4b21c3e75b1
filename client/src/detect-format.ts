// Tells the format of an import file by its first bytes.
import type { NewImport } from './imports.ts'

type ImportFormat = NewImport['format']

const bytesMax = 65_536

// Names of fields and columns that no other format of the same form has.
const signs: Record<ImportFormat, string[]> = {
  ndjson: ['contacts', 'external_id', 'avatar_url'],
  csv: ['external_id', 'avatar', 'password_hash'],
  keycloak: ['credentials', 'createdTimestamp', 'firstName', 'requiredActions', 'serviceAccountClientId'],
  auth0: [
    'user_id',
    '_id',
    'email_verified',
    'Email Verified',
    'identities',
    'user_metadata',
    'app_metadata',
  ],
  firebase: ['localId', 'providerUserInfo', 'customAttributes'],
  cognito: ['Attributes', 'UserAttributes', 'UserStatus', 'cognito:username', 'cognito:mfa_enabled'],
  clerk: ['primary_email_address', 'email_addresses', 'password_digest', 'password_hasher'],
  supabase: ['encrypted_password', 'raw_user_meta_data', 'raw_app_meta_data'],
}

const ownName =
  /^(id|username|name|status|external_id|avatar|avatar_url|password|password_hash|version|created_at|updated_at|contacts(\.\d+\.\w+)?|attributes(\..+)?)$/
// `firebase auth:export` writes no header: the id, the e-mail address, and whether it is verified.
const firebaseAccount = /^[^,"\r\n]{1,128},[^,"\r\n]{0,320},(true|false),/

/**
 * Looks at names alone, and never at values.
 * @param start of the decompressed file; more than 64 KB are not looked at
 * @returns one format if it is certain, all that are possible if not, and none for other files
 */
export function detectFormat(start: Uint8Array): ImportFormat[] {
  const text = new TextDecoder().decode(start.subarray(0, bytesMax)).trimStart()
  if (text === '' || text.includes('\0')) return []
  if (text[0] === '[' || text[0] === '{') return fromJson(text)
  return firebaseAccount.test(text) ? ['firebase'] : fromHeader(text)
}

function fromJson(text: string): ImportFormat[] {
  const names = namesByDepth(text)
  const at = (depth: number): string[] => [...(names[depth] ?? [])]
  if (text[0] === '[') return select(at(2), ['auth0', 'keycloak', 'firebase', 'cognito', 'clerk'])
  const root = at(1)
  if (root.includes('realm')) return ['keycloak']
  if (root.includes('Users')) return ['cognito']
  if (root.includes('users')) return select(at(3), ['keycloak', 'firebase', 'clerk'])
  return select(root, ['ndjson', 'auth0'])
}

function fromHeader(text: string): ImportFormat[] {
  const [line = ''] = text.split(/[\r\n]/, 1)
  const names = line.split(/[,;\t]/).map((cell) => cell.replaceAll('"', '').trim())
  return select(names, ['csv', 'cognito', 'clerk', 'supabase'])
}

function select(names: string[], possible: ImportFormat[]): ImportFormat[] {
  const isOwn = names.includes('username') && names.every((name) => ownName.test(name))
  const found = possible.filter((format) =>
    format === 'ndjson' || format === 'csv'
      ? isOwn || names.some((name) => signs[format].includes(name) || /^(contacts|attributes)\./.test(name))
      : names.some((name) => signs[format].includes(name)),
  )
  return found.length > 0 ? found : possible
}

// A user is at most in a list in a member of the document.
const depthMax = 3
// A text that is cut off extends to the end, so that each character is looked at once.
const token = /"((?:[^"\\]|\\.)*)(?:"(\s*:)?|\\?$)|[{}[\]]/gs

/** @returns the names of members, by the number of brackets around them */
function namesByDepth(text: string): Set<string>[] {
  const names = Array.from({ length: depthMax + 1 }, () => new Set<string>())
  let depth = 0
  for (const [whole, name, colon] of text.matchAll(token)) {
    if (whole === '{' || whole === '[') depth++
    else if (whole === '}' || whole === ']') depth--
    else if (name !== undefined && colon !== undefined) names[depth]?.add(name)
  }
  return names
}
