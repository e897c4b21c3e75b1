// Parses the files of `firebase auth:export`, JSON and CSV.
import { metadataEntries } from '../attributes.ts'
import { firebaseHash, type SourcePassword } from '../hash-forms.ts'
import { readJsonUsers } from '../json-users.ts'
import { peekCharacter } from '../peek.ts'
import { type ImportOptions, invalidFile, type ParseImport } from '../row.ts'
import { hasValue, type SourceUser, toRows } from '../source-user.ts'
import { readFirebaseCsv } from './firebase-csv.ts'

type Account = Record<string, unknown>

export const parseFirebase: ParseImport = async function* (bytes, options) {
  const { first, whole } = await peekCharacter(bytes)
  const accounts =
    first === '{' || first === '[' ? readJsonUsers(whole, { key: 'users' }) : readFirebaseCsv(whole)
  yield* toRows(accounts, (account) => toUser(account, options), options)
}

function toUser(account: Account, options: ImportOptions): SourceUser {
  return {
    externalId: account.localId,
    emails: [account.email],
    phones: [account.phoneNumber],
    name: account.displayName,
    isBlocked: isTrue(account.disabled),
    createdAt: account.createdAt,
    password: passwordOf(account, options),
    attributes: [
      ['email_verified', hasValue(account.email) ? isTrue(account.emailVerified) : undefined],
      ...metadataEntries('customAttributes', account.customAttributes),
    ],
  }
}

/** The CSV has text for booleans. */
function isTrue(value: unknown): boolean {
  return value === true || value === 'true'
}

function passwordOf(
  { passwordHash, salt }: Account,
  { firebase, unknown_hashes: unknown }: ImportOptions,
): SourcePassword | undefined {
  if (!hasValue(passwordHash)) return undefined
  if (firebase)
    return firebaseHash({
      digest: passwordHash,
      salt,
      signerKey: firebase.base64_signer_key,
      separator: firebase.base64_salt_separator,
      rounds: firebase.rounds,
      memCost: firebase.mem_cost,
    })
  if (unknown !== 'drop')
    throw invalidFile(
      'The file has password hashes, which need the hash parameters of the Firebase project. Send them as the option firebase, or set unknown_hashes to drop.',
    )
  return undefined
}
