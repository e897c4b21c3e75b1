// Tells the user pool and the event bus what the outbox holds. Any number of processes may do so at once: a row
// is claimed for half a minute, by its due time, and what dies meanwhile is claimed again after that. So everything
// is told at least once, and per user in the order of the changes: a row waits for the earlier ones of its user,
// and of its username in the pool. For the pool and for the bus apart: what waits for one does not wait
// for the other. What fails is tried again ever later, for ever, and holds up nobody but its user.
import { setTimeout as pause } from 'node:timers/promises'
import { eq, sql } from 'drizzle-orm'
import type { BusEntry } from '../connection/event-bus.ts'
import { boundedQueue } from '../connection/limits.ts'
import { metricFields } from '../connection/metrics.ts'
import type { UserPool } from '../connection/user-pool.ts'
import { poolGroups, users } from '../model/tables.ts'
import type { EventData, EventType, PoolTask } from './outbox.ts'
import type { World } from './users/record.ts'

type DeliveryWorld = Pick<World, 'db' | 'outbox' | 'logger'>

type Row = {
  id: string
  eventId: string
  userId: string
  type: EventType
  data: EventData
  poolTask: PoolTask | null
  poolUsername: string | null
  createdAt: Date
  /** Grows with every claim: by it a process knows that the row is still its own. */
  attempts: number
  poolNow: boolean
  busNow: boolean
}

const leaseMs = 30_000
// Later than this a claimed row is not begun any more: one takes half of the lease at most.
const beginMsMax = 10_000
const claimedMax = 20
const poolCallsMax = 5
const backOffMsMax = 300_000
const deliverNowMsMax = 2_000
const pollMs = 1_000
const reportMs = 60_000
/** An outbox whose oldest row is older lags. */
export const lagSecondsMax = 60

const claimText = (which: string) => `
WITH head AS (
  SELECT o.id, now.pool, now.bus
  FROM outbox o CROSS JOIN LATERAL (
    SELECT
      $1 AND o.pool_pending AND NOT EXISTS (
        SELECT 1 FROM outbox e WHERE e.user_id = o.user_id AND e.id < o.id AND e.pool_pending
      ) AND NOT EXISTS (
        SELECT 1 FROM outbox e
        WHERE e.pool_username_folded = o.pool_username_folded AND e.id < o.id AND e.pool_pending
      ) AS pool,
      $2 AND o.bus_pending AND NOT EXISTS (
        SELECT 1 FROM outbox e WHERE e.user_id = o.user_id AND e.id < o.id AND e.bus_pending
      ) AS bus
  ) now
  WHERE ${which} AND (now.pool OR now.bus)
  ORDER BY o.due_at, o.id
  LIMIT ${claimedMax}
  FOR UPDATE OF o SKIP LOCKED
)
UPDATE outbox o
SET attempts = attempts + 1, due_at = clock_timestamp() + interval '${leaseMs} ms'
FROM head WHERE o.id = head.id
RETURNING o.id, event_id AS "eventId", user_id AS "userId", type, data, pool_task AS "poolTask",
  pool_username AS "poolUsername", created_at AS "createdAt", attempts, pool AS "poolNow", bus AS "busNow"`

const claimDue = claimText('o.due_at <= now()')
const claimNew = claimText('o.id = $3 AND o.attempts = 0')

/**
 * Sets a new password in the pool, by whoever has it in memory. Where this fails the outbox goes on without it:
 * the pool's user is removed, and comes back with the next sign-in.
 * @param outboxId of the row that records the change
 */
export async function deliverNow(world: DeliveryWorld, outboxId: number, password: string): Promise<void> {
  try {
    const rows = await world.db.query((queries) =>
      queries.named<Row>('outbox-claim-new', claimNew, [true, false, outboxId]),
    )
    const told = deliver(world, rows, AbortSignal.timeout(deliverNowMsMax), password)
    // Tokens tell their age in whole seconds: who signs in once this is answered must not seem to have before.
    await Promise.all([told, pause(1_000 - (Date.now() % 1_000))])
  } catch (error) {
    world.logger.warn('a new password could not be set in the user pool at once', { error })
  }
}

/** Delivers what is due and looks for more each second, until `signal` says stop. Tells each minute how far it is. */
export async function runDelivery(world: DeliveryWorld, signal: AbortSignal): Promise<void> {
  let reportAt = 0
  let isReadable = true
  while (!signal.aborted) {
    try {
      while (!signal.aborted && (await deliverDue(world, signal)) > 0);
      if (performance.now() >= reportAt) {
        reportAt = performance.now() + reportMs
        await reportOutbox(world)
      }
      isReadable = true
    } catch (error) {
      if (isReadable) world.logger.warn('the outbox cannot be read', { error })
      isReadable = false
    }
    await pause(pollMs, undefined, { signal }).catch(() => {})
  }
}

/**
 * How much waits, and for how long the oldest of it.
 * @throws ServiceError `unavailable`, `overloaded`
 */
export async function outboxState({ db }: DeliveryWorld): Promise<{ pending: number; lagSeconds: number }> {
  const text = `
    SELECT count(*)::int AS pending,
      coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 AS "lagSeconds"
    FROM outbox`
  const [state] = await db.query((queries) =>
    queries.named<{ pending: number; lagSeconds: number }>('outbox-state', text, []),
  )
  return state ?? { pending: 0, lagSeconds: 0 }
}

async function reportOutbox(world: DeliveryWorld): Promise<void> {
  const { pending, lagSeconds } = await outboxState(world)
  const fields = metricFields('outbox', { OutboxPending: pending, OutboxLag: Math.round(lagSeconds) })
  if (lagSeconds > lagSecondsMax) world.logger.warn('the outbox lags', fields)
  else world.logger.info('outbox', fields)
}

/** One round of it. @returns how many rows were got on with. @throws ServiceError `unavailable`, `overloaded` */
export async function deliverDue(world: DeliveryWorld, signal: AbortSignal): Promise<number> {
  const { pool, bus } = world.outbox
  const rows = await world.db.query((queries) =>
    queries.named<Row>('outbox-claim-due', claimDue, [pool !== undefined, bus !== undefined]),
  )
  return deliver(world, rows, signal)
}

async function deliver(
  world: DeliveryWorld,
  rows: Row[],
  signal: AbortSignal,
  password?: string,
): Promise<number> {
  if (rows.length === 0) return 0
  const { pool, bus } = world.outbox
  const limit = boundedQueue(poolCallsMax, claimedMax)
  const beginUntil = performance.now() + beginMsMax
  const failures = new Map<Row, unknown>()
  const published = new Set<Row>()

  const tellAll = async (pool: UserPool) => {
    const told = rows.filter(({ poolNow }) => poolNow)
    const tell = async (row: Row) => {
      if (performance.now() > beginUntil) throw new Error('the user pool is too slow')
      await tellPool(world, pool, row, signal, password)
    }
    await Promise.all(told.map((row) => limit(() => tell(row)).catch((error) => failures.set(row, error))))
  }
  const publishAll = async (bus: NonNullable<typeof world.outbox.bus>) => {
    const due = rows.filter(({ busNow }) => busNow)
    const results = await bus.publish(due.map(toEntry), signal)
    for (const [at, row] of due.entries())
      if (results[at] === true) published.add(row)
      else failures.set(row, results[at])
  }
  await Promise.all([pool && tellAll(pool), bus && publishAll(bus)])

  await settle(
    world,
    rows.map((row) => ({
      row,
      isTold: false,
      isPublished: published.has(row),
      waitMs: failures.has(row) ? backOffMs(row.attempts) : 0,
    })),
  )
  const [failed] = failures
  if (failed)
    world.logger.warn('the outbox could not deliver', {
      count: failures.size,
      event_id: failed[0].eventId,
      attempts: failed[0].attempts,
      error: failed[1],
    })
  return rows.filter((row) => published.has(row) || !failures.has(row)).length
}

/** Half a second to some minutes, doubled with each attempt, and never for many rows the same. */
function backOffMs(attempts: number): number {
  return Math.round(Math.min(backOffMsMax, 1_000 * 2 ** (attempts - 1)) * (0.5 + Math.random() / 2))
}

/** Has the pool do what the row asks for, and notes it at once: until then sign-ins of this name may be refused. */
async function tellPool(
  world: DeliveryWorld,
  pool: UserPool,
  row: Row,
  signal: AbortSignal,
  password: string | undefined,
): Promise<void> {
  const { poolTask, poolUsername } = row
  if (poolTask === null || poolUsername === null) throw new Error('the row has no task for the pool')
  const [user] = await world.db.query((queries) =>
    queries.select({ status: users.status }).from(users).where(eq(users.id, row.userId)),
  )
  const takeOut = async (): Promise<void> => {
    if (user) await saveGroups(world, pool, row.userId, poolUsername, signal)
    await pool.remove(poolUsername, signal)
  }
  const isSet = poolTask === 'password' && password !== undefined
  if (poolTask === 'groups') {
    if (user) await putBackGroups(world, pool, row.userId, poolUsername, signal)
  } else if (poolTask === 'standing' || isSet) {
    if (isSet) await pool.setPassword(poolUsername, password, signal)
    // As the row says now. An erased user's removal follows.
    if (user) await (user.status === 'BLOCKED' ? pool.disable : pool.enable)(poolUsername, signal)
  } else {
    await takeOut()
  }
  const isOurs = await settle(world, [{ row, isTold: true, isPublished: false, waitMs: undefined }])
  if (isOurs || !isSet) return
  // This process stood still for longer than its claim. The password may not be the latest any more.
  await takeOut()
}

/** Remembers the groups of a user who is about to be removed. A user's tasks are done one after another. */
async function saveGroups(
  { db }: DeliveryWorld,
  pool: UserPool,
  userId: string,
  username: string,
  signal: AbortSignal,
): Promise<void> {
  const groups = await pool.groupsOf(username, signal)
  if (groups.length === 0) return
  await db.query((queries) =>
    queries
      .insert(poolGroups)
      .values({ userId, groups })
      .onConflictDoUpdate({
        target: poolGroups.userId,
        set: {
          groups: sql`ARRAY(SELECT DISTINCT unnest(${poolGroups.groups} || excluded.groups) ORDER BY 1)`,
        },
      }),
  )
}

/** Where the user has been removed again meanwhile, the next sign-in asks for it anew. */
async function putBackGroups(
  { db }: DeliveryWorld,
  pool: UserPool,
  userId: string,
  username: string,
  signal: AbortSignal,
): Promise<void> {
  const [saved] = await db.query((queries) =>
    queries.select().from(poolGroups).where(eq(poolGroups.userId, userId)),
  )
  if (!saved || !(await pool.addToGroups(username, saved.groups, signal))) return
  await db.query((queries) => queries.delete(poolGroups).where(eq(poolGroups.userId, userId)))
}

type Outcome = {
  row: Row
  isTold: boolean
  isPublished: boolean
  /** Until the row is due again; undefined leaves it claimed. */
  waitMs: number | undefined
}

const settleText = `
WITH outcome AS (
  SELECT * FROM unnest($1::bigint[], $2::int[], $3::bool[], $4::bool[], $5::int[])
    AS t(id, attempts, told, published, wait_ms)
), gone AS (
  DELETE FROM outbox o USING outcome t
  WHERE o.id = t.id AND o.attempts = t.attempts
    AND (t.told OR NOT o.pool_pending) AND (t.published OR NOT o.bus_pending)
  RETURNING o.id
), kept AS (
  UPDATE outbox o
  SET pool_pending = o.pool_pending AND NOT t.told, bus_pending = o.bus_pending AND NOT t.published,
    due_at = coalesce(clock_timestamp() + t.wait_ms * interval '1 ms', o.due_at)
  FROM outcome t
  WHERE o.id = t.id AND o.attempts = t.attempts AND o.id NOT IN (SELECT id FROM gone)
  RETURNING o.id
)
SELECT id FROM gone UNION ALL SELECT id FROM kept`

/** Notes what was done. @returns whether any of the rows was still this process's */
async function settle({ db }: DeliveryWorld, outcomes: Outcome[]): Promise<boolean> {
  const settled = await db.query((queries) =>
    queries.named('outbox-settle', settleText, [
      outcomes.map(({ row }) => row.id),
      outcomes.map(({ row }) => row.attempts),
      outcomes.map(({ isTold }) => isTold),
      outcomes.map(({ isPublished }) => isPublished),
      outcomes.map(({ waitMs }) => waitMs ?? null),
    ]),
  )
  return settled.length > 0
}

function toEntry({ eventId, type, data, createdAt }: Row): BusEntry {
  const { user, changed } = data
  // Of somebody who was erased no more is told than who it was.
  const told = type === 'user.erased' ? { id: user.id, username: user.username, version: user.version } : user
  return { type, time: createdAt, detail: JSON.stringify({ id: eventId, user: told, changed }) }
}
