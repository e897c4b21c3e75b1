// Reports how far the delivery of the outbox lags behind.
import { metricFields } from '../../platform/metrics.ts'
import type { OutboxContext } from './queue.ts'

/** Above this age of its oldest row the outbox lags. */
export const lagSecondsMax = 60

/**
 * @returns the number of rows, and the age of the oldest
 * @throws ServiceError `unavailable`, `overloaded`
 */
export async function outboxState({
  db,
}: Pick<OutboxContext, 'db'>): Promise<{ pending: number; lagSeconds: number }> {
  const text = `
    SELECT count(*)::int AS pending,
      coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 AS "lagSeconds"
    FROM outbox`
  const [state] = await db.query((queries) =>
    queries.prepared<{ pending: number; lagSeconds: number }>('outbox-state', text, []),
  )
  return state ?? { pending: 0, lagSeconds: 0 }
}

/** Logs the state as metrics. @throws ServiceError `unavailable`, `overloaded` */
export async function reportOutbox(ctx: OutboxContext): Promise<void> {
  const { pending, lagSeconds } = await outboxState(ctx)
  const fields = metricFields('outbox', { OutboxPending: pending, OutboxLag: Math.round(lagSeconds) })
  if (lagSeconds > lagSecondsMax) ctx.logger.warn('the outbox lags', fields)
  else ctx.logger.info('outbox', fields)
}
