// Decides what becomes of a row, by the users that the directory has.
import type { Fault } from '../../model/errors.ts'
import type { ImportBody } from '../../model/job.ts'
import type { CheckedRow } from './check-row.ts'
import type { Known, KnownUser } from './look-up.ts'

export type ImportChoices = Pick<ImportBody, 'on_conflict' | 'match' | 'dry_run' | 'announce'>

export type Decision =
  | { kind: 'create' }
  | { kind: 'update'; user: KnownUser }
  | { kind: 'skip' }
  | { kind: 'refuse'; faults: Fault[] }

export function decide(row: CheckedRow, known: Known, { match, on_conflict }: ImportChoices): Decision {
  const named = known.byUsername.get(row.usernameFolded)
  const externalId = row.user.external_id ?? undefined
  const identified = externalId === undefined ? undefined : known.byExternalId.get(externalId)
  const user = match === 'username' ? named : identified
  if (user && on_conflict === 'skip') return { kind: 'skip' }
  if (user && on_conflict === 'fail') return { kind: 'refuse', faults: [taken(`/${match}`)] }
  const faults: Fault[] = []
  if (named && named.id !== user?.id) faults.push(taken('/username'))
  if (identified && identified.id !== user?.id) faults.push(taken('/external_id'))
  if (!user) faults.push(...takenIds(row, known))
  if (faults.length > 0) return { kind: 'refuse', faults }
  return user ? { kind: 'update', user } : { kind: 'create' }
}

/** A new user keeps the ids that the row brings along. An existing one has its own. */
function takenIds({ kept, user }: CheckedRow, { ids }: Known): Fault[] {
  const isTaken = (id: string | undefined): boolean => id !== undefined && ids.has(id)
  return [
    ...(isTaken(kept.id) ? [taken('/id')] : []),
    ...(user.contacts ?? []).flatMap(({ id }, at) => (isTaken(id) ? [taken(`/contacts/${at}/id`)] : [])),
  ]
}

/** The message of the API for a value that another user has. */
function taken(pointer: string): Fault {
  return { pointer, message: 'is already taken' }
}
