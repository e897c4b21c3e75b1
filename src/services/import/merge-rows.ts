// Merges the rows of a chunk into the tables of users, within a transaction. Users that exist are locked in the order of
// their ids and before any key is stored. A deadlock with live writes is therefore rare, and PostgreSQL ends it.
import type { BulkQueries } from '../../connection/postgres/database.ts'
import { userOfAvatarKey } from '../../model/avatar-key.ts'
import type { Fault } from '../../model/errors.ts'
import { avatarKeyOf, foreignAvatar, isNewAvatar } from '../avatars/change.ts'
import type { ServiceContext } from '../context.ts'
import { type ChangedUser, readUsers } from '../users/many-users.ts'
import type { StoredUser } from '../users/write-transaction.ts'
import { changeUser, storeChanges } from './changed-users.ts'
import type { CheckedRow, RefusedRow } from './check-row.ts'
import type { PreparedRow } from './chunks.ts'
import { decide, type ImportChoices } from './decide.ts'
import { type Known, lookUp } from './look-up.ts'
import { copyNewUsers, insertNewUsers } from './new-users.ts'

/** The outcomes of the rows. */
export type Merged = {
  created: StoredUser[]
  changed: ChangedUser[]
  unchanged: number
  skipped: number
  refused: RefusedRow[]
}

type Merge = {
  queries: BulkQueries
  choices: ImportChoices
  merged: Merged
  known: Known
  /** Rows to look at again, because another write was faster. */
  again: PreparedRow[]
}

// Each round waits for the writes that were faster, and then sees them.
const roundsMax = 10
const putsAtOnce = 8

/**
 * @param options.isContended another write has just stored a key of these rows, so COPY could fail again
 * @throws the driver's error of a unique constraint, unless `isContended`
 */
export async function mergeRows(
  ctx: ServiceContext,
  queries: BulkQueries,
  { rows, choices, isContended }: { rows: PreparedRow[]; choices: ImportChoices; isContended: boolean },
): Promise<Merged> {
  const merged: Merged = { created: [], changed: [], unchanged: 0, skipped: 0, refused: [] }
  let pending = rows
  for (let round = 1; pending.length > 0; round++) {
    if (round > roundsMax) throw new Error('other writes keep storing the keys of these rows')
    const known = await lookUp(queries, pending)
    const merge: Merge = { queries, choices, merged, known, again: [] }
    const created: PreparedRow[] = []
    const matched = new Map<string, PreparedRow>()
    for (const row of pending) {
      const decision = decide(row, known, choices)
      if (decision.kind === 'skip') merged.skipped++
      else if (decision.kind === 'refuse') refuse(merged, row, decision.faults)
      else if (decision.kind === 'update') matched.set(decision.user.id, row)
      else if (isForeignPath(row, row.fresh.user.id, null)) refuse(merged, row, foreignAvatar().faults)
      else created.push(row)
    }
    await changeMatched(merge, matched)
    await createMissing(merge, created, isContended)
    pending = merge.again
  }
  if (!choices.dry_run) await storeAvatars(ctx, merged, rows)
  return merged
}

function refuse(merged: Merged, { line }: CheckedRow, faults: Fault[]): void {
  merged.refused.push({ line, faults })
}

/** A path is only accepted for the user whose avatar it is. */
function isForeignPath({ avatar }: CheckedRow, userId: string, current: string | null): boolean {
  return typeof avatar === 'string' && avatar !== current && userOfAvatarKey(avatar) !== userId
}

async function changeMatched(merge: Merge, matched: Map<string, PreparedRow>): Promise<void> {
  const { queries, choices, merged, known, again } = merge
  if (matched.size === 0) return
  const stored = await readUsers(queries, [...matched.keys()], !choices.dry_run)
  const changes: ChangedUser[] = []
  for (const [id, row] of matched) {
    const before = stored.get(id)
    const isMatch =
      choices.match === 'username'
        ? before?.usernameFolded === row.usernameFolded
        : before?.externalId === row.user.external_id
    // Another write has erased or renamed the user between the look-up and the lock.
    if (!before || !isMatch) again.push(row)
    else if (isForeignPath(row, id, before.avatar)) refuse(merged, row, foreignAvatar().faults)
    else {
      const change = changeUser(before, row, known.now)
      if (change) changes.push(change)
      else merged.unchanged++
    }
  }
  if (!choices.dry_run) await storeChanges(queries, changes)
  merged.changed.push(...changes)
}

async function createMissing(
  { queries, choices, merged, again }: Merge,
  created: PreparedRow[],
  isContended: boolean,
): Promise<void> {
  if (created.length === 0) return
  const users = created.map(({ fresh }) => fresh)
  if (choices.dry_run || !isContended) {
    if (!choices.dry_run) await copyNewUsers(queries, users)
    for (const { user } of users) merged.created.push(user)
    return
  }
  const stored = await insertNewUsers(queries, users)
  for (const row of created) {
    if (stored.has(row.fresh.user.id)) merged.created.push(row.fresh.user)
    else again.push(row)
  }
}

/** Stores new images while the users' rows are locked, so that no other write can remove the same image. */
async function storeAvatars({ avatars }: ServiceContext, merged: Merged, rows: CheckedRow[]): Promise<void> {
  const images = new Map(rows.map((row) => [row.usernameFolded, row.avatar]))
  const puts = [...merged.created, ...merged.changed.map(({ after }) => after)].flatMap((user) => {
    const image = images.get(user.usernameFolded)
    return isNewAvatar(image) ? [() => avatars.put(avatarKeyOf(user.id, image), image.bytes)] : []
  })
  for (let at = 0; at < puts.length; at += putsAtOnce)
    await Promise.all(puts.slice(at, at + putsAtOnce).map((put) => put()))
}
