// Checks a row of an import file by the schema of the API, so that its messages are those of the API.
import { type Fault, ServiceError } from '../../model/errors.ts'
import { type KeptFields, keptFields } from '../../model/import-row.ts'
import { fold } from '../../model/text.ts'
import { type CreateUser, createUserBody } from '../../model/user.ts'
import { check, structuralFaults } from '../../model/validate.ts'
import type { AvatarChange } from '../avatars/change.ts'
import { checkContactIds } from '../users/contacts.ts'
import type { ImportRow } from './row.ts'
import { createSeenKeys } from './seen-keys.ts'

/** A row that the schema accepts, and whose keys no earlier row of the file has. */
export type CheckedRow = {
  line: number
  user: CreateUser
  kept: KeptFields
  usernameFolded: string
  /** undefined if the row does not name the avatar */
  avatar: AvatarChange | undefined
  /** null: the row gives no password. Undefined until a password in plain text is hashed. */
  passwordHash: string | null | undefined
}

export type RefusedRow = { line: number; faults: Fault[] }
export type Checked = CheckedRow | RefusedRow

export function isRefused<Row extends CheckedRow>(row: Row | RefusedRow): row is RefusedRow {
  return 'faults' in row
}

export type RowCheck = (row: ImportRow) => Checked

/**
 * Makes the check for one file. Call it for each row in the order of the file, because it remembers their keys.
 * @param options.match the field that each row must have
 */
export function createRowCheck({ match }: { match: 'username' | 'external_id' }): RowCheck {
  const usernames = createSeenKeys()
  const externalIds = createSeenKeys()
  const ids = createSeenKeys()

  /** Finds the keys that an earlier row has. */
  const claim = ({ line, user, kept, usernameFolded }: CheckedRow): Fault[] => {
    const faults: Fault[] = []
    const take = (keys: typeof ids, key: string | null | undefined, pointer: string): void => {
      const earlier = key === undefined || key === null ? undefined : keys.claim(key, line)
      if (earlier !== undefined)
        faults.push({ pointer, message: `is in line ${earlier} of the file too; keep one of the two` })
    }
    take(usernames, usernameFolded, '/username')
    take(externalIds, user.external_id, '/external_id')
    take(ids, kept.id, '/id')
    for (const [at, { id }] of (user.contacts ?? []).entries()) take(ids, id, `/contacts/${at}/id`)
    return faults
  }

  return ({ line, user: fields, faults: formFaults }) => {
    if (formFaults.length > 0) return { line, faults: formFaults }
    const structure = structuralFaults(fields)
    if (structure.isUnbounded) return { line, faults: structure.faults }
    const { id, version, created_at, updated_at, ...rest } = fields
    const user = check(createUserBody, rest, 'pointer')
    const kept = checkKept({ id, version, created_at, updated_at })
    const faults = [...structure.faults, ...faultsOf(user), ...faultsOf(kept)]
    if ('faults' in user || 'faults' in kept || faults.length > 0) return { line, faults }
    if (match === 'external_id' && (user.value.external_id ?? null) === null)
      return { line, faults: [{ pointer: '/external_id', message: 'is required to match by it' }] }
    const repeated = contactFaults(user.value)
    if (repeated.length > 0) return { line, faults: repeated }
    const { avatar, password, password_hash } = user.value
    const checked = {
      line,
      user: user.value,
      kept: kept.value,
      usernameFolded: fold(user.value.username),
      avatar,
      passwordHash: password_hash ?? (password === null ? null : undefined),
    }
    const taken = claim(checked)
    return taken.length > 0 ? { line, faults: taken } : checked
  }
}

/** Most sources give none of these fields. */
const keepsNothing: { value: KeptFields } = { value: {} }

function checkKept(fields: Record<string, unknown>): { value: KeptFields } | { faults: Fault[] } {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined)
  return given.length === 0 ? keepsNothing : check(keptFields, Object.fromEntries(given), 'pointer')
}

function faultsOf(checked: { faults: Fault[] } | { value: unknown }): Fault[] {
  return 'faults' in checked ? checked.faults : []
}

function contactFaults({ contacts }: CreateUser): Fault[] {
  try {
    checkContactIds(contacts)
    return []
  } catch (error) {
    if (error instanceof ServiceError) return error.faults
    throw error
  }
}
