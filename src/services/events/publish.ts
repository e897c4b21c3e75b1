// Publishes rows of the outbox on the event bus.
import type { BusEntry, EventBus } from '../../connection/events/event-bus.ts'
import { type Failure, logFailures, type OutboxContext, type OutboxRow, settle } from '../outbox/queue.ts'

/**
 * Publishes claimed rows and settles them.
 * @returns the number of rows that were published
 * @throws ServiceError `unavailable`, `overloaded`
 */
export async function publishEvents(
  { ctx, bus, signal }: { ctx: OutboxContext; bus: EventBus; signal: AbortSignal },
  rows: OutboxRow[],
): Promise<number> {
  const results = await bus.publish(rows.map(toBusEntry), signal)
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

function toBusEntry({ eventId, type, data, createdAt }: OutboxRow): BusEntry {
  const { user, changed } = data
  return { type, time: createdAt, detail: JSON.stringify({ id: eventId, user, changed }) }
}
