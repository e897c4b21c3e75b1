// Delivers the outbox to the user pool and the event bus, at least once and in order for each user:
// docs/adr/0009-an-outbox-for-the-pool-and-the-bus.md.
import { setTimeout as pause } from 'node:timers/promises'
import { eq, sql } from 'drizzle-orm'
import type { UserPool } from '../../connection/cognito/user-pool.ts'
import type { BusEntry, EventBus } from '../../connection/events/event-bus.ts'
import { poolGroups, users } from '../../model/tables.ts'
import { metricFields } from '../../platform/metrics.ts'
import { fairQueue } from '../../platform/queue.ts'
import type { ServiceContext } from '../context.ts'
import type { EventData, EventType, PoolTask } from './record.ts'

type DeliveryContext = Pick<ServiceContext, 'db' | 'outbox' | 'logger'>

/** Who is told. */
type Target = 'pool' | 'bus'

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
}

const leaseMs = 30_000
// Later than this a claimed row is not begun any more: one takes half of the lease at most.
const beginMsMax = 10_000
const claimedMax = 20
// So many of those that are due are looked at for one whose turn it is: what waits must not cost more than it may.
const lookedAtMax = 2_000
const poolCallsMax = 5
const backOffMsMax = 300_000
const deliverNowMsMax = 2_000
const pollMs = 1_000
const reportMs = 60_000
/** An outbox whose oldest row is older lags. */
export const lagSecondsMax = 60

const columns = {
  pool: { pending: 'pool_pending', attempts: 'pool_attempts', due: 'pool_due_at' },
  bus: { pending: 'bus_pending', attempts: 'bus_attempts', due: 'bus_due_at' },
}

const dueText = (target: Target, selected: string) => {
  const { pending, due } = columns[target]
  return `SELECT ${selected} FROM outbox o WHERE o.${due} <= now() AND o.${pending} ORDER BY o.${due}, o.id LIMIT ${lookedAtMax}`
}

const claimText = (target: Target, candidates: string, still: string, lock: string) => {
  const { pending, attempts, due } = columns[target]
  // Each by its index: a join could be planned to look at all pairs of one user's rows.
  const isFirst = (column: string) =>
    `o.id = (SELECT e.id FROM outbox e WHERE e.${column} = o.${column} AND e.${pending} ORDER BY e.id LIMIT 1)`
  return `
WITH head AS (
  SELECT o.id FROM outbox o WHERE o.id = ANY(ARRAY(${candidates}))
  -- Looked at again once the row is locked: another process may have claimed it since the candidates were read.
    AND o.${pending} AND ${still} AND ${isFirst('user_id')}
    ${target === 'pool' ? `AND ${isFirst('pool_username_folded')}` : ''}
  ORDER BY o.${due}, o.id
  LIMIT ${claimedMax}
  FOR UPDATE OF o ${lock}
)
UPDATE outbox o
SET ${attempts} = o.${attempts} + 1, ${due} = clock_timestamp() + interval '${leaseMs} ms'
FROM head WHERE o.id = head.id
RETURNING o.id, event_id AS "eventId", user_id AS "userId", type, data, pool_task AS "poolTask",
  pool_username AS "poolUsername", created_at AS "createdAt", o.${attempts} AS attempts`
}

const claimDue = {
  pool: claimText('pool', dueText('pool', 'o.id'), 'o.pool_due_at <= now()', 'SKIP LOCKED'),
  bus: claimText('bus', dueText('bus', 'o.id'), 'o.bus_due_at <= now()', 'SKIP LOCKED'),
}
// Waits where the bus's claim of the same row is being stored: nobody else could set the password.
const claimNew = claimText('pool', 'SELECT id FROM outbox WHERE id = $1', 'o.pool_attempts = 0', '')

// What waits for a row that is tried again much later is not looked at before that: in a long outage it may be very
// many. Only a failure makes a row due later than a claim does.
const deferText = (target: Target) => {
  const { pending, due } = columns[target]
  return `
WITH waiting AS (
  SELECT o.id, first.${due}
  FROM (${dueText(target, 'o.id, o.user_id')} FOR UPDATE SKIP LOCKED) o CROSS JOIN LATERAL (
    SELECT e.${due} FROM outbox e
    WHERE e.user_id = o.user_id AND e.id < o.id AND e.${pending}
    ORDER BY e.id LIMIT 1
  ) first
  WHERE first.${due} > clock_timestamp() + interval '${leaseMs} ms'
)
UPDATE outbox o SET ${due} = waiting.${due} FROM waiting WHERE o.id = waiting.id
RETURNING o.id`
}
const defer = { pool: deferText('pool'), bus: deferText('bus') }

/**
 * Sets a new password in the pool, by whoever has it in memory. Where this fails the outbox goes on without it:
 * the pool's user is removed, and comes back with the next sign-in.
 * @param outboxId of the row that records the change
 */
export async function deliverNow(ctx: DeliveryContext, outboxId: number, password: string): Promise<void> {
  try {
    const { pool } = ctx.outbox
    if (!pool) return
    const rows = await ctx.db.query((queries) => queries.unprepared<Row>(claimNew, [outboxId]))
    const told = tellPool(ctx, pool, rows, AbortSignal.timeout(deliverNowMsMax), password)
    // Tokens tell their age in whole seconds: who signs in once this is answered must not seem to have before.
    await Promise.all([told, pause(1_000 - (Date.now() % 1_000))])
  } catch (error) {
    ctx.logger.warn('a new password could not be set in the user pool at once', { error })
  }
}

/** Delivers what is due and looks for more each second, until `signal` says stop. Tells each minute how far it is. */
export async function runDelivery(ctx: DeliveryContext, signal: AbortSignal): Promise<void> {
  const deliver = (target: Target) => async () => {
    while (!signal.aborted && (await deliverDue(ctx, target, signal)) > 0);
  }
  let reportAt = 0
  const report = async () => {
    if (performance.now() < reportAt) return
    reportAt = performance.now() + reportMs
    await reportOutbox(ctx)
  }
  await Promise.all([deliver('pool'), deliver('bus'), report].map((work) => eachSecond(ctx, signal, work)))
}

async function eachSecond(
  { logger }: DeliveryContext,
  signal: AbortSignal,
  work: () => Promise<void>,
): Promise<void> {
  let isReadable = true
  while (!signal.aborted) {
    try {
      await work()
      isReadable = true
    } catch (error) {
      if (isReadable) logger.warn('the outbox cannot be read', { error })
      isReadable = false
    }
    await pause(pollMs, undefined, { signal }).catch(() => {})
  }
}

/**
 * How much waits, and for how long the oldest of it.
 * @throws ServiceError `unavailable`, `overloaded`
 */
export async function outboxState({ db }: DeliveryContext): Promise<{ pending: number; lagSeconds: number }> {
  const text = `
    SELECT count(*)::int AS pending,
      coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 AS "lagSeconds"
    FROM outbox`
  const [state] = await db.query((queries) =>
    queries.prepared<{ pending: number; lagSeconds: number }>('outbox-state', text, []),
  )
  return state ?? { pending: 0, lagSeconds: 0 }
}

async function reportOutbox(ctx: DeliveryContext): Promise<void> {
  const { pending, lagSeconds } = await outboxState(ctx)
  const fields = metricFields('outbox', { OutboxPending: pending, OutboxLag: Math.round(lagSeconds) })
  if (lagSeconds > lagSecondsMax) ctx.logger.warn('the outbox lags', fields)
  else ctx.logger.info('outbox', fields)
}

/** One round of it. @returns how many rows were got on with. @throws ServiceError `unavailable`, `overloaded` */
export async function deliverDue(ctx: DeliveryContext, target: Target, signal: AbortSignal): Promise<number> {
  const { db, outbox } = ctx
  const { pool, bus } = outbox
  if (!outbox[target]) return 0
  const rows = await db.query((queries) => queries.unprepared<Row>(claimDue[target], []))
  if (rows.length === 0) return (await db.query((queries) => queries.unprepared(defer[target], []))).length
  if (target === 'pool') return pool ? tellPool(ctx, pool, rows, signal) : 0
  return bus ? publish(ctx, bus, rows, signal) : 0
}

async function tellPool(
  ctx: DeliveryContext,
  pool: UserPool,
  rows: Row[],
  signal: AbortSignal,
  password?: string,
): Promise<number> {
  const limit = fairQueue(poolCallsMax, { waiting: claimedMax })
  const beginUntil = performance.now() + beginMsMax
  const failures: Failure[] = []
  const tell = async (row: Row): Promise<void> => {
    try {
      if (performance.now() > beginUntil) throw new Error('the user pool is too slow')
      await doTask(ctx, pool, row, signal, password)
    } catch (error) {
      failures.push({ row, error })
      await settle(ctx, 'pool', [{ row, isDone: false }])
    }
  }
  await Promise.all(rows.map((row) => limit('all', () => tell(row))))
  logFailures(ctx, 'user pool', failures)
  return rows.length - failures.length
}

async function publish(
  ctx: DeliveryContext,
  bus: EventBus,
  rows: Row[],
  signal: AbortSignal,
): Promise<number> {
  const results = await bus.publish(rows.map(toEntry), signal)
  const failures = rows.flatMap((row, at): Failure[] =>
    results[at] === true ? [] : [{ row, error: results[at] }],
  )
  await settle(
    ctx,
    'bus',
    rows.map((row, at) => ({ row, isDone: results[at] === true })),
  )
  logFailures(ctx, 'event bus', failures)
  return rows.length - failures.length
}

type Failure = { row: Row; error: unknown }

function logFailures({ logger }: DeliveryContext, target: string, failures: Failure[]): void {
  const [first] = failures
  if (first)
    logger.warn('the outbox could not deliver', {
      to: target,
      count: failures.length,
      event_id: first.row.eventId,
      attempts: first.row.attempts,
      error: first.error,
    })
}

/** Half a second to some minutes, doubled with each attempt, and never for many rows the same. */
function backOffMs(attempts: number): number {
  return Math.round(Math.min(backOffMsMax, 1_000 * 2 ** (attempts - 1)) * (0.5 + Math.random() / 2))
}

/** Has the pool do what the row asks for, and notes it at once: until then sign-ins of this name may be refused. */
async function doTask(
  ctx: DeliveryContext,
  pool: UserPool,
  row: Row,
  signal: AbortSignal,
  password: string | undefined,
): Promise<void> {
  const { poolTask, poolUsername } = row
  if (poolTask === null || poolUsername === null) throw new Error('the row has no task for the pool')
  const [user] = await ctx.db.query((queries) =>
    queries.select({ status: users.status }).from(users).where(eq(users.id, row.userId)),
  )
  const takeOut = async (): Promise<void> => {
    if (user) await saveGroups(ctx, pool, row.userId, poolUsername, signal)
    await pool.remove(poolUsername, signal)
  }
  const isSet = poolTask === 'password' && password !== undefined
  if (poolTask === 'groups') {
    if (user) await putBackGroups(ctx, pool, row.userId, poolUsername, signal)
  } else if (poolTask === 'status' || isSet) {
    if (isSet) await pool.setPassword(poolUsername, password, signal)
    // As the row says now. An erased user's removal follows.
    if (user) await (user.status === 'BLOCKED' ? pool.disable : pool.enable)(poolUsername, signal)
  } else {
    await takeOut()
  }
  const isOurs = await settle(ctx, 'pool', [{ row, isDone: true }])
  if (isOurs || !isSet) return
  // This process stood still for longer than its claim. The password may not be the latest any more.
  await takeOut()
}

/** Remembers the groups of a user who is about to be removed. A user's tasks are done one after another. */
async function saveGroups(
  { db }: DeliveryContext,
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
  { db }: DeliveryContext,
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

const settleText = (target: Target) => {
  const { pending, attempts, due } = columns[target]
  return `
UPDATE outbox o
SET ${pending} = NOT t.done, ${due} = clock_timestamp() + t.wait_ms * interval '1 ms'
FROM unnest($1::bigint[], $2::int[], $3::bool[], $4::int[]) AS t(id, attempts, done, wait_ms)
WHERE o.id = t.id AND o.${attempts} = t.attempts AND o.${pending}
RETURNING o.id`
}
const settleTexts = { pool: settleText('pool'), bus: settleText('bus') }
const removeText = 'DELETE FROM outbox WHERE id = ANY($1::bigint[]) AND NOT pool_pending AND NOT bus_pending'

/**
 * Notes what was done, and what is to be tried again later.
 * @returns whether any of the rows was still this process's
 */
async function settle(
  { db }: DeliveryContext,
  target: Target,
  outcomes: { row: Row; isDone: boolean }[],
): Promise<boolean> {
  const ids = outcomes.map(({ row }) => row.id)
  return db.transaction(async (queries) => {
    const settled = await queries.unprepared(settleTexts[target], [
      ids,
      outcomes.map(({ row }) => row.attempts),
      outcomes.map(({ isDone }) => isDone),
      outcomes.map(({ row, isDone }) => (isDone ? 0 : backOffMs(row.attempts))),
    ])
    // A statement of its own: the one above has locked the rows, so this one sees what the other target has noted.
    await queries.unprepared(removeText, [ids])
    return settled.length > 0
  })
}

function toEntry({ eventId, type, data, createdAt }: Row): BusEntry {
  const { user, changed } = data
  return { type, time: createdAt, detail: JSON.stringify({ id: eventId, user, changed }) }
}
