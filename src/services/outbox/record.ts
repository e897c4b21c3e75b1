// Records in a change's own transaction what other systems must learn of it, so that no committed change is lost.
// relay.ts delivers the rows.
import { randomUUID } from 'node:crypto'
import { sql } from 'drizzle-orm'
import type { Connections } from '../../connection/open.ts'
import type { Queries } from '../../connection/postgres/database.ts'
import { type eventTypes, outbox, type poolTasks } from '../../model/tables.ts'
import { fold } from '../../model/text.ts'
import type { User } from '../../model/user.ts'

export type EventType = (typeof eventTypes)[number]
export type PoolTask = (typeof poolTasks)[number]

/** A field that a change has touched; for a password only the fact. */
export type ChangedField = (typeof comparedFields)[number] | 'password'
const comparedFields = [
  'username',
  'name',
  'status',
  'contacts',
  'external_id',
  'attributes',
  'avatar',
] as const

/** The content of an event. It holds no personal data beyond this, because copies of events outlive an erasure. */
export type EventData = {
  user: Pick<User, 'id' | 'username' | 'status' | 'version'>
  changed: ChangedField[]
}

export type Change = {
  /** Before the change; undefined for a new user. */
  before: User | undefined
  /** After the change; undefined for an erased user. */
  after: User | undefined
  isPasswordNew: boolean
}

/**
 * Records a change. Call it after the change's own statements: their locks give the rows of one user, and of one
 * username, the order of the commits.
 * @returns the row's id if the user pool must get a new password, for `setPasswordNow`
 */
export async function recordChange(
  queries: Queries,
  targets: Connections['outbox'],
  change: Change,
): Promise<number | undefined> {
  const row = outboxRow(targets, change)
  if (!row) return undefined
  const [stored] = await queries.insert(outbox).values(row).returning({ id: outbox.id })
  return row.poolTask === 'password' ? stored?.id : undefined
}

/** Records the changes of up to some thousand users, like `recordChange`. */
export async function recordChanges(
  queries: Queries,
  targets: Connections['outbox'],
  changes: Change[],
): Promise<void> {
  const rows = changes.flatMap((change) => outboxRow(targets, change) ?? [])
  if (rows.length > 0) await queries.insert(outbox).values(rows)
}

/** @returns undefined if no other system must learn of the change */
function outboxRow({ pool, bus }: Connections['outbox'], change: Change) {
  const { before, after } = change
  const user = after ?? before
  if (!user) throw new Error('a change needs a user before or after it')
  const changed = changedFields(change)
  const task = pool ? poolTaskOf(change, changed) : undefined
  if (!bus && task === undefined) return undefined
  const { id, username, status, version } = user
  return {
    eventId: randomUUID(),
    userId: id,
    type: eventType(change),
    data: { user: { id, username, status, version }, changed } satisfies EventData,
    // The pool knows a renamed user by the former name.
    ...(task !== undefined && before && poolColumns(task, before.username)),
    poolPending: task !== undefined,
    busPending: bus !== undefined,
    // Until then only the process that has the password in memory may claim the row.
    ...(task === 'password' && { poolDueAt: sql`clock_timestamp() + interval '3 s'` }),
  }
}

/** Records a task for the user pool that no change of the user has caused, and that is no event. */
export async function recordPoolTask(
  queries: Queries,
  { task, userId, username }: { task: PoolTask; userId: string; username: string },
): Promise<void> {
  await queries.insert(outbox).values({
    eventId: randomUUID(),
    userId,
    type: 'user.updated',
    data: {},
    ...poolColumns(task, username),
    poolPending: true,
    busPending: false,
  })
}

function poolColumns(poolTask: PoolTask, poolUsername: string) {
  return { poolTask, poolUsername, poolUsernameFolded: fold(poolUsername) }
}

function eventType({ before, after }: Change): EventType {
  if (!before) return 'user.created'
  if (!after) return 'user.erased'
  if (before.status === after.status) return 'user.updated'
  return after.status === 'BLOCKED' ? 'user.blocked' : 'user.unblocked'
}

/** A new user needs no task, because the pool has no user before the first sign-in. */
function poolTaskOf({ before, after }: Change, changed: ChangedField[]): PoolTask | undefined {
  if (!before) return undefined
  // The pool cannot rename a user, so the next sign-in creates one under the new name.
  if (!after || changed.includes('username')) return 'remove'
  if (changed.includes('password')) return 'password'
  return changed.includes('status') ? 'status' : undefined
}

function changedFields({ before, after, isPasswordNew }: Change): ChangedField[] {
  if (!before || !after) return []
  return [
    ...comparedFields.filter((field) => JSON.stringify(before[field]) !== JSON.stringify(after[field])),
    ...(isPasswordNew ? (['password'] as const) : []),
  ]
}
