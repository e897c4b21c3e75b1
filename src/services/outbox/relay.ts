// Delivers the outbox to the user pool and the event bus, at least once and in order for each user:
// docs/adr/0009-an-outbox-for-the-pool-and-the-bus.md.
import { setTimeout as pause } from 'node:timers/promises'
import { syncPool } from '../cognito/sync.ts'
import { publishEvents } from '../events/publish.ts'
import { claimDue, deferBlocked, type OutboxContext, type Target } from './queue.ts'
import { reportOutbox } from './state.ts'

const pollMs = 1_000
const reportMs = 60_000

/** Delivers what is due once a second, and reports the state once a minute, until `signal` aborts. */
export async function runDelivery(ctx: OutboxContext, signal: AbortSignal): Promise<void> {
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
  { logger }: OutboxContext,
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
 * Claims and delivers one batch.
 * @returns the number of rows that were delivered or deferred
 * @throws ServiceError `unavailable`, `overloaded`
 */
export async function deliverDue(ctx: OutboxContext, target: Target, signal: AbortSignal): Promise<number> {
  const { pool, bus } = ctx.outbox
  if (!ctx.outbox[target]) return 0
  const rows = await claimDue(ctx, target)
  if (rows.length === 0) return deferBlocked(ctx, target)
  if (target === 'pool') return pool ? syncPool({ ctx, pool, signal }, rows) : 0
  return bus ? publishEvents({ ctx, bus, signal }, rows) : 0
}
