// Records what others must be told of a change, in the change's own transaction: so it is told exactly if the
// change was committed, whoever dies in between. `deliver.ts` tells it.
import { randomUUID } from 'node:crypto'
import { sql } from 'drizzle-orm'
import type { Connections } from '../../connection/open.ts'
import type { Queries } from '../../connection/postgres/database.ts'
import { type eventTypes, outbox, type poolTasks } from '../../model/tables.ts'
import { fold } from '../../model/text.ts'
import type { User } from '../../model/user.ts'

export type EventType = (typeof eventTypes)[number]
export type PoolTask = (typeof poolTasks)[number]

/** A field of the user that a change has touched; of a password only that it has. */
export type ChangedField = 'username' | 'name' | 'password' | 'status' | 'contacts' | 'avatar'

/** An event's content. No personal data: copies of events outlive an erasure. Consumers ask the API for more. */
export type EventData = {
  user: Pick<User, 'id' | 'username' | 'status' | 'version'>
  changed: ChangedField[]
}

export type Change = {
  /** Before the change; undefined for a new user. */
  before: User | undefined
  /** After the change; undefined for an erased one. */
  after: User | undefined
  isPasswordNew: boolean
}

/**
 * To be called after the change's own statements: their locks give the rows of one user, and of one username,
 * the order of the commits.
 * @returns the row's id where the pool must be given a new password: for `deliverNow`
 */
export async function record(
  queries: Queries,
  { pool, bus }: Connections['outbox'],
  change: Change,
): Promise<number | undefined> {
  const { before, after } = change
  const user = after ?? before
  if (!user) throw new Error('a change is of a user')
  const changed = changedFields(change)
  const poolTask = pool ? poolTaskOf(change, changed) : undefined
  if (!bus && poolTask === undefined) return undefined
  const { id, username, status, version } = user
  const data: EventData = { user: { id, username, status, version }, changed }
  const [row] = await queries
    .insert(outbox)
    .values({
      eventId: randomUUID(),
      userId: user.id,
      type: eventType(change),
      data,
      // The pool knows a renamed user by the name from before.
      ...(poolTask !== undefined &&
        before && { poolTask, poolUsername: before.username, poolUsernameFolded: fold(before.username) }),
      poolPending: poolTask !== undefined,
      busPending: bus !== undefined,
      // Meanwhile only the process that knows the password may tell the pool of it.
      ...(poolTask === 'password' && { poolDueAt: sql`clock_timestamp() + interval '3 s'` }),
    })
    .returning({ id: outbox.id })
  return poolTask === 'password' ? row?.id : undefined
}

function eventType({ before, after }: Change): EventType {
  if (!before) return 'user.created'
  if (!after) return 'user.erased'
  if (before.status === after.status) return 'user.updated'
  return after.status === 'BLOCKED' ? 'user.blocked' : 'user.unblocked'
}

/** Nobody is in the pool before the first sign-in. */
function poolTaskOf({ before, after }: Change, changed: ChangedField[]): PoolTask | undefined {
  if (!before) return undefined
  // A pool's usernames cannot be changed: under the new one the user comes in anew.
  if (!after || changed.includes('username')) return 'remove'
  if (changed.includes('password')) return 'password'
  return changed.includes('status') ? 'status' : undefined
}

function changedFields({ before, after, isPasswordNew }: Change): ChangedField[] {
  if (!before || !after) return []
  const fields = ['username', 'name', 'status', 'contacts', 'avatar'] as const
  return [
    ...fields.filter((field) => JSON.stringify(before[field]) !== JSON.stringify(after[field])),
    ...(isPasswordNew ? (['password'] as const) : []),
  ]
}
