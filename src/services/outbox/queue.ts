// The outbox as a queue: claims rows with a lease, keeps their order, and retries failures with backoff.
// A row waits for the earlier ones of its user and, for the pool, of its username. Each target has its own claims, due
// times and attempts: docs/adr/0009-an-outbox-for-the-pool-and-the-bus.md.
import type { ServiceContext } from '../context.ts'
import type { EventData, EventType, PoolTask } from './record.ts'

export type OutboxContext = Pick<ServiceContext, 'db' | 'outbox' | 'logger'>

/** The system that rows are delivered to: the user pool or the event bus. */
export type Target = 'pool' | 'bus'

export type OutboxRow = {
  id: string
  eventId: string
  userId: string
  type: EventType
  data: EventData
  poolTask: PoolTask | null
  poolUsername: string | null
  createdAt: Date
  /** Grows with every claim, so that a process can tell whether the claim is still its own. */
  attempts: number
}

export const leaseMs = 30_000
/** Rows that one claim takes at most. */
export const claimedMax = 20
// Due rows that a claim examines for their turn; more would make a long outage expensive.
const examinedMax = 2_000
const backoffMsMax = 300_000

const columns = {
  pool: { pending: 'pool_pending', attempts: 'pool_attempts', due: 'pool_due_at' },
  bus: { pending: 'bus_pending', attempts: 'bus_attempts', due: 'bus_due_at' },
}

const dueText = (target: Target, selected: string) => {
  const { pending, due } = columns[target]
  return `SELECT ${selected} FROM outbox o WHERE o.${due} <= now() AND o.${pending} ORDER BY o.${due}, o.id LIMIT ${examinedMax}`
}

const claimText = (
  target: Target,
  { candidates, condition, lock }: { candidates: string; condition: string; lock: string },
) => {
  const { pending, attempts, due } = columns[target]
  // A sub-select for each row uses the index; a join could be planned to compare all pairs of one user's rows.
  const isFirst = (column: string) =>
    `o.id = (SELECT e.id FROM outbox e WHERE e.${column} = o.${column} AND e.${pending} ORDER BY e.id LIMIT 1)`
  return `
WITH head AS (
  SELECT o.id FROM outbox o WHERE o.id = ANY(ARRAY(${candidates}))
  -- Checked again under the row's lock: another process may have claimed it since the candidates were read.
    AND o.${pending} AND ${condition} AND ${isFirst('user_id')}
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

const claimDueText = (target: Target) =>
  claimText(target, {
    candidates: dueText(target, 'o.id'),
    condition: `o.${columns[target].due} <= now()`,
    lock: 'SKIP LOCKED',
  })
const claimDueTexts = { pool: claimDueText('pool'), bus: claimDueText('bus') }
// Waits while the bus's claim of the same row is being stored: only this process can set the password.
const claimUntriedText = claimText('pool', {
  candidates: 'SELECT id FROM outbox WHERE id = $1',
  condition: 'o.pool_attempts = 0',
  lock: '',
})

/** Claims the rows that are due and first in their order. @throws ServiceError `unavailable`, `overloaded` */
export function claimDue({ db }: OutboxContext, target: Target): Promise<OutboxRow[]> {
  return db.query((queries) => queries.unprepared<OutboxRow>(claimDueTexts[target], []))
}

/** Claims one row for the pool, unless it has been tried before. @throws ServiceError `unavailable`, `overloaded` */
export function claimUntried({ db }: OutboxContext, id: number): Promise<OutboxRow[]> {
  return db.query((queries) => queries.unprepared<OutboxRow>(claimUntriedText, [id]))
}

// Only a failure makes a row due later than a claim does.
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
const deferTexts = { pool: deferText('pool'), bus: deferText('bus') }

/**
 * Makes due rows wait as long as the failed row before them, because a long outage may leave very many.
 * @returns how many
 * @throws ServiceError `unavailable`, `overloaded`
 */
export async function deferBlocked({ db }: OutboxContext, target: Target): Promise<number> {
  return (await db.query((queries) => queries.unprepared(deferTexts[target], []))).length
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
 * Stores which rows were delivered, and when to retry the others.
 * @returns whether this process still held the claim of any row
 * @throws ServiceError `unavailable`, `overloaded`
 */
export async function settle(
  { db }: OutboxContext,
  target: Target,
  outcomes: { row: OutboxRow; isDone: boolean }[],
): Promise<boolean> {
  const ids = outcomes.map(({ row }) => row.id)
  return db.transaction(async (queries) => {
    const settled = await queries.unprepared(settleTexts[target], [
      ids,
      outcomes.map(({ row }) => row.attempts),
      outcomes.map(({ isDone }) => isDone),
      outcomes.map(({ row, isDone }) => (isDone ? 0 : backoffMs(row.attempts))),
    ])
    // A separate statement: it runs after the row locks above, so it sees the outcome of the other target.
    await queries.unprepared(removeText, [ids])
    return settled.length > 0
  })
}

/** Half a second to five minutes, doubled with each attempt, with jitter so that rows spread. */
function backoffMs(attempts: number): number {
  return Math.round(Math.min(backoffMsMax, 1_000 * 2 ** (attempts - 1)) * (0.5 + Math.random() / 2))
}

export type Failure = { row: OutboxRow; error: unknown }

export function logFailures({ logger }: OutboxContext, target: string, failures: Failure[]): void {
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
